"""Events in bytes, and back."""

import pytest

from api.sse import DATA, DONE, comment, data_of, event, json_event, split, whole_part


def test_comment_is_one_line_without_a_blank_line_after_it() -> None:
    """openai-go up to 3.42 takes the blank line for the end of an empty event, and fails."""
    assert comment("place 3\n\ndata: x") == b": place 3 data: x\n"


@pytest.mark.parametrize(
    ("events", "left"),
    [
        (b"data: {}\n\n", [b"data: {}"]),
        (b": a\n:\ndata: {}\n\n", [b"data: {}"]),
        (b"data: {}\n: a\n\n", [b"data: {}"]),
        (b'data: {"a":"\\n: b"}\n\n', [b'data: {"a":"\\n: b"}']),
        (b": a\n\n", []),
        (b"", []),
        (b"data: 1\n\n: a\n\n: b\ndata: 2\n\n", [b"data: 1", b"data: 2"]),
    ],
)
def test_comments_are_no_part_of_an_event(events: bytes, left: list[bytes]) -> None:
    assert split(events) == left


def test_what_is_written_is_read() -> None:
    value = {"choices": [{"delta": {"content": "日 \n"}}]}
    assert json_event(value) == 'data: {"choices":[{"delta":{"content":"日 \\n"}}]}\n\n'.encode()
    assert [data_of(one) for one in split(event(b"1") + DONE)] == [b"1", b"[DONE]"]
    assert data_of(b"event: ping") == b""
    assert event(b"") == DATA + b"\n\n"


@pytest.mark.parametrize(
    ("events", "length"),
    [(b"", 0), (b"data: 1\n", 0), (DONE, len(DONE)), (DONE + b"da", len(DONE))],
)
def test_events_are_whole_up_to_the_last_blank_line(events: bytes, length: int) -> None:
    assert whole_part(events) == length
