"""The pure parts: frames, jobs and keys, and the examples in their docstrings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.frames import Frame, Kind, pack, unpack
from dispatcher.job import Want, decode_wants, encode_wants, split_attempt_id, tenant_key
from dispatcher.keys import NAMES, Keys

FRAMES = st.builds(
    Frame,
    st.sampled_from(Kind),
    st.integers(-1, 10**9),
    st.integers(0, 10**9),
    st.binary(max_size=99),
)


@given(st.lists(FRAMES))
def test_packed_frames_come_out_as_they_went_in(several: list[Frame]) -> None:
    assert unpack(pack(several)) == several


@given(st.lists(FRAMES, min_size=1), st.data())
def test_cut_frames_are_refused_or_end_between_two(
    several: list[Frame], data: st.DataObject
) -> None:
    whole = pack(several)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    try:
        assert unpack(cut) == several[: len(unpack(cut))]
    except ValueError:
        assert cut not in [pack(several[:number]) for number in range(len(several))]


@pytest.mark.parametrize(
    "value",
    [
        b"x",
        b"chunk\n",
        b"chunk 0 0 2\nx",
        b"other 0 0 0\n",
        b"chunk a 0 0\n",
        b"chunk 0 0 0",
        b"chunk 0 0 -14\n",
    ],
)
def test_other_bytes_are_refused(value: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        unpack(value)


@given(st.frozensets(st.sampled_from(Want)))
def test_wants_come_out_as_they_went_in(wants: frozenset[Want]) -> None:
    assert decode_wants(encode_wants(wants)) == wants


def test_unknown_want_is_refused() -> None:
    with pytest.raises(ValueError, match="magic"):
        decode_wants("stream,magic")


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_tenant_key_is_free_of_separators_and_readable_by_redis_cli(name: str) -> None:
    key = tenant_key(name)
    assert key.isascii()
    assert not set(key) & set("| \n\"'{}\xff")


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=2, unique=True))
def test_tenants_are_told_apart(names: list[str]) -> None:
    assert len({tenant_key(name) for name in names}) == len(names)


@pytest.mark.parametrize(
    ("attempt_id", "parts"),
    [("j1:n-1", ("j1", "n-1")), ("a:b:n-1", ("a:b", "n-1")), ("j1:", ("j1", ""))],
)
def test_attempt_id_names_job_and_attempt(attempt_id: str, parts: tuple[str, str]) -> None:
    assert split_attempt_id(attempt_id) == parts


def test_all_keys_of_a_model_share_its_hash_tag() -> None:
    keys = Keys("qwen:7b")
    assert all(keys.named(name, "x").startswith("llamaq:{qwen:7b}:") for name in NAMES)
    assert keys.named("job", "j1") == "llamaq:{qwen:7b}:job:j1"


def test_unknown_key_is_an_error() -> None:
    with pytest.raises(KeyError):
        Keys("tiny").named("nothing")
