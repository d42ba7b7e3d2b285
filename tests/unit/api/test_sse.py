import json

import pytest

from api.sse import DONE, comment, reindex, without_comments

CHUNK = {
    "choices": [{"finish_reason": None, "index": 0, "delta": {"content": "日 \n"}}],
    "id": "a",
    "timings": {"cache_n": 1, "prompt_ms": 0.5},
    "prompt_progress": {"total": 3},
}


def event(chunk: object) -> bytes:
    return b"data: " + json.dumps(chunk, separators=(",", ":")).encode() + b"\n\n"


def chunk_of(event: bytes) -> dict[str, object]:
    chunk: dict[str, object] = json.loads(event.removeprefix(b"data: "))
    return chunk


def test_comment_is_one_line_without_a_blank_line_after_it() -> None:
    """openai-go up to 3.42 takes the blank line for the end of an empty event, and fails."""
    assert comment("place 3\n\ndata: x") == b": place 3 data: x\n"


@pytest.mark.parametrize(
    ("event", "left"),
    [
        (b"data: {}", b"data: {}"),
        (b": a\n:\ndata: {}", b"data: {}"),
        (b"data: {}\n: a", b"data: {}"),
        (b'data: {"a":"\\n: b"}', b'data: {"a":"\\n: b"}'),
        (b": a", b""),
    ],
)
def test_comments_are_no_part_of_an_event(event: bytes, left: bytes) -> None:
    assert without_comments(event) == left


def test_reindexed_chunk_differs_only_in_index_and_id() -> None:
    changed = CHUNK | {"id": "b", "choices": [CHUNK["choices"][0] | {"index": 2}]}
    assert chunk_of(reindex(event(CHUNK), 2, "b")) == changed
    assert reindex(event(CHUNK), 2, "b").endswith(b"}\n\n")


def test_what_is_no_chunk_of_a_choice_stays_as_it_is() -> None:
    assert reindex(DONE, 1, "b") == DONE
    assert reindex(comment("x"), 1, "b") == comment("x")
    assert chunk_of(reindex(event({"error": {"code": 500}}), 1, "b")) == {"error": {"code": 500}}
