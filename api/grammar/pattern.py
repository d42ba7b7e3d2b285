"""The grammar that llama-server makes of a `pattern`, a regular expression in a schema. Pure."""

import re

# What a pattern has in common with GBNF as it stands; the rest of it are literal characters.
_PIECES = re.compile(
    r"(?P<group>\(\?:)|(?P<set>\[(?:\\.|[^\]\\])*\])|(?P<count>\{\d*(?:,\d*)?\})|(?P<sign>[()|*+?.])"
    r"|\\(?P<escaped>.)|(?P<plain>.)",
    re.DOTALL,
)


def pattern_grammar(pattern: str) -> str:
    """The grammar; "" where llama-server takes any text instead, or refuses the pattern.

    >>> pattern_grammar("^a[0-9]{2}(?:x|y)*$")
    'root ::= "a" [0-9] {2} ( "x" | "y" ) * '
    """
    if len(pattern) < 2 or not pattern.startswith("^") or not pattern.endswith("$"):
        return ""
    shown = []
    for piece in _PIECES.finditer(pattern[1:-1]):
        kind, text = piece.lastgroup, piece[0]
        if kind == "group":
            text = "("
        elif kind == "count":
            text = "{0" + text[1:] if text.startswith("{,") else text
        elif kind in ("escaped", "plain"):
            text = f'"\\U{ord(piece[kind]):08X}"'
        shown.append(text if kind != "plain" or piece["plain"] in '"\\\n' else f'"{piece[0]}"')
    return f"root ::= {' '.join(shown)} "
