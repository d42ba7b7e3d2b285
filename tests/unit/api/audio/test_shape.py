"""The events of a transcript, made of a chat's chunks."""

import json
from typing import Any

import pytest

from api.audio.answer import TranscriptionAssembly
from api.audio.shape import TranscriptionShape
from api.endpoint import Piece
from api.errors import ApiError
from dispatcher.errors import WorkerFailed
from tests.unit.api.messages.test_shape import LAST_USAGE, ROLE, chunk

TOLD = {
    "type": "tokens",
    "input_tokens": 21,
    "output_tokens": 5,
    "total_tokens": 0,
    "input_tokens_details": {"cached_tokens": 20},
}
LAST = chunk({}, "stop")


def shown(*events: bytes) -> list[Any]:
    shape = TranscriptionShape()
    told = b"".join(shape.take(Piece(0, each)) for each in events) + shape.end()
    *said, done, nothing = told.decode().split("\n\n")
    assert (done, nothing) == ("data: [DONE]", "")
    return [json.loads(event.removeprefix("data: ")) for event in said]


def delta(text: str) -> dict[str, str]:
    return {"type": "transcript.text.delta", "delta": text}


def test_text_comes_in_parts_and_as_a_whole() -> None:
    said = ('grün "', "\\u00e9\n", "🎉")
    events = shown(ROLE, *(chunk({"content": text}) for text in said), LAST + LAST_USAGE)
    whole = {"type": "transcript.text.done", "text": "".join(said), "usage": TOLD}
    assert events == [*map(delta, said), whole]


def test_thoughts_and_calls_are_no_part_of_a_transcript() -> None:
    thought = chunk({"reasoning_content": "Hm"}), chunk({"content": "a", "reasoning_content": "b"})
    assert [event.get("delta") for event in shown(ROLE, *thought, LAST)] == ["a", None]
    assembly = TranscriptionAssembly()
    assembly.add(0, b"".join((ROLE, *thought, LAST, LAST_USAGE)))
    whole = {"type": "transcript.text.done", "text": "a", "usage": TOLD}
    assert json.loads(assembly.body()) == whole


def test_what_begins_anew_leaves_no_trace_unless_it_was_seen() -> None:
    assembly, shape = TranscriptionAssembly(), TranscriptionShape()
    assembly.add(0, chunk({"content": "lost"}))
    assembly.restart(0)
    assembly.add(0, ROLE + chunk({"content": "a"}) + LAST)
    assert json.loads(assembly.body())["text"] == "a"
    assert shape.take(Piece(0, ROLE)) == shape.take(Piece(0, restart=True)) == b""
    shape.take(Piece(0, chunk({"content": "seen"})))
    with pytest.raises(WorkerFailed):
        shape.take(Piece(0, restart=True))


def test_answer_without_an_end_has_failed() -> None:
    assembly = TranscriptionAssembly()
    assembly.add(0, ROLE + chunk({"content": "a"}))
    with pytest.raises(WorkerFailed):
        assembly.body()


def test_failure_is_one_event_in_openai_s_form() -> None:
    error = ApiError(502, "It failed.", type="server_error", code="worker_failed")
    told = TranscriptionShape().fail(error).decode()
    assert json.loads(told.removeprefix("data: "))["error"]["code"] == "worker_failed"
