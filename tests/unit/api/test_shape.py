"""What goes out for the pieces of an answer."""

import json

import pytest

from api.endpoint import Piece
from api.shape import ChunkShape
from api.sse import DONE, event
from dispatcher.errors import WorkerFailed


def chunk(text: str, **more: object) -> bytes:
    choice = {"finish_reason": None, "index": 0, "delta": {"content": text}}
    return b"data: " + json.dumps({"choices": [choice], "id": "a", **more}).encode() + b"\n\n"


def usage(completion: int) -> bytes:
    counts = {"prompt_tokens": 7, "completion_tokens": completion, "total_tokens": 7 + completion}
    text = json.dumps({"choices": [], "usage": counts}, separators=(",", ":"))
    return b"data: " + text.encode() + b"\n\n"


def read(data: bytes) -> list[dict[str, object]]:
    return [json.loads(event[6:]) for event in data.split(b"\n\n") if event.startswith(b"data: {")]


def test_single_choice_passes_byte_by_byte() -> None:
    shape = ChunkShape(1, "x")
    assert shape.take(Piece(0, chunk("a") + usage(3))) == chunk("a") + usage(3)
    assert shape.end() == DONE


def test_several_choices_get_one_id_and_their_own_indexes() -> None:
    shape = ChunkShape(2, "x")
    first, second = read(shape.take(Piece(0, chunk("a"))) + shape.take(Piece(1, chunk("b"))))
    assert [first["id"], second["id"]] == ["x", "x"]
    assert [c["choices"][0]["index"] for c in (first, second)] == [0, 1]  # type: ignore[index]


def test_comment_before_an_event_of_several_choices_hides_nothing_of_it() -> None:
    (shown,) = read(ChunkShape(2, "x").take(Piece(1, b": alive\n" + chunk("a"))))
    assert shown["choices"][0]["index"] == 1  # type: ignore[index]


def test_error_of_several_choices_stays_as_it_is() -> None:
    error = {"error": {"code": 500}}
    assert read(ChunkShape(2, "x").take(Piece(1, event(json.dumps(error).encode())))) == [error]


def test_usage_of_several_choices_comes_once_and_adds_up() -> None:
    shape = ChunkShape(2, "x")
    assert shape.take(Piece(0, usage(3))) + shape.take(Piece(1, usage(4))) == b""
    end = shape.end()
    assert end.endswith(DONE)
    assert read(end)[0]["usage"] == {
        "prompt_tokens": 7,
        "completion_tokens": 7,
        "total_tokens": 14,
    }


def test_answer_that_nobody_saw_may_begin_anew() -> None:
    shape = ChunkShape(1, "x")
    assert shape.take(Piece(0, restart=True)) == b""
    assert shape.take(Piece(0, chunk("a"))) == chunk("a")


def test_answer_that_was_seen_in_part_never_begins_anew() -> None:
    shape = ChunkShape(1, "x")
    shape.take(Piece(0, chunk("a")))
    with pytest.raises(WorkerFailed):
        shape.take(Piece(0, restart=True))
