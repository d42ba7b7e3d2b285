"""JSON values that no field expects, and sensible ones that were spoilt somewhere."""

from typing import Any

from hypothesis import strategies as st

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=12)
NUMBERS = st.sampled_from(
    [
        *(0, 1, -1, 2, 7, 2**31 - 1, 2**31, -(2**31), 2**53, 2**63, 2**64, -(2**63) - 1, 10**400),
        *(0.0, -0.0, 0.5, 1e-308, 1e308, 1.5, float("nan"), float("inf"), float("-inf")),
    ]
)
TEXTS = st.sampled_from(
    [
        *(
            "",
            " ",
            "\x00",
            "\ud800",
            "\udfff\ud800",
            "\u202e",
            "a" * 300,
            "*",
            "tiny",
            "../..",
            "\r\n",
        ),
        *("1", "true", "null", "none", "auto", "[]", "{}", "assistant", "function", "required"),
        *("data:image/png;base64,AAAA", "data:image/png;base64,\x00", "file:///etc/passwd"),
        *('root ::= "a"', "root ::= root", "(" * 80, "[a-z", "\\", "{{ x }}", "<|im_end|>", "%s%n"),
    ]
)
SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS | ANY_TEXT | st.integers() | st.floats()
ODD = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(TEXTS | ANY_TEXT, inner, max_size=3)
    ),
    max_leaves=6,
)


@st.composite
def spoilt(draw: st.DrawFn, value: Any) -> Any:
    """The same with one value in it replaced, removed, or put there twice."""
    if not isinstance(value, dict | list) or not value or draw(st.integers(0, 5)) == 0:
        return draw(ODD)
    places = list(value) if isinstance(value, dict) else range(len(value))
    place = draw(st.sampled_from(places))
    changed = value.copy()
    how = draw(st.integers(0, 9))
    if how == 0:
        del changed[place]
    elif how == 1 and isinstance(changed, list):
        changed.append(changed[place])
    elif how == 1:
        changed[draw(TEXTS | ANY_TEXT)] = changed[place]
    else:
        changed[place] = draw(spoilt(value[place]))
    return changed


@st.composite
def cut_up(draw: st.DrawFn, sent: bytes) -> bytes:
    """The same bytes, some of them changed: it may be no more what it was."""
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(sent)))
        more = draw(st.binary(max_size=6) | st.sampled_from([b"\r\n", b"\n", b"\x00", b"\xff\xfe"]))
        skipped = draw(st.sampled_from([0, 0, 1, 1, 2, 17, len(sent)]))
        sent = sent[:at] + more + sent[at + skipped :]
    return sent
