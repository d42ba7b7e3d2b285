"""The events of a message, made of a chat's chunks."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from api.endpoint import Piece
from api.errors import ApiError
from api.messages.answer import MessageAssembly
from api.messages.errors import error_body
from api.messages.shape import MessageShape
from dispatcher.errors import WorkerFailed

NAMES = (
    '"created":1,"id":"chatcmpl-a","model":"tiny","system_fingerprint":"b1",'
    '"object":"chat.completion.chunk"'
)
USAGE = {
    "completion_tokens": 5,
    "prompt_tokens": 21,
    "prompt_tokens_details": {"cached_tokens": 20},
}
START: dict[str, Any] = {
    "id": "chatcmpl-a",
    "type": "message",
    "role": "assistant",
    "content": [],
    "model": "tiny",
    "stop_reason": None,
    "stop_sequence": None,
}


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    """As llama-server writes it."""
    choice = {"finish_reason": finish, "index": 0, "delta": delta}
    behind = "".join(f',"{name}":{json.dumps(value)}' for name, value in more.items())
    choices = json.dumps([choice], separators=(",", ":"), ensure_ascii=False)
    return f'data: {{"choices":{choices},{NAMES}{behind}}}\n\n'.encode()


def progress(processed: int, total: int = 21, cache: int = 20) -> bytes:
    told = {"total": total, "cache": cache, "processed": processed, "time_ms": 1}
    return chunk({"role": "assistant", "content": None}, prompt_progress=told)


def call(index: int, arguments: str, **named: str) -> bytes:
    name = {"id": named["id"], "type": "function"} if named else {}
    function = {"name": named["name"]} if named else {}
    return chunk(
        {"tool_calls": [{"index": index, **name, "function": function | {"arguments": arguments}}]}
    )


ROLE = chunk({"role": "assistant", "content": None})
LAST_USAGE = f'data: {{"choices":[],{NAMES},"usage":{json.dumps(USAGE)}}}\n\n'.encode()


def text(said: str) -> bytes:
    return chunk({"content": said})


def thought(said: str) -> bytes:
    return chunk({"reasoning_content": said})


def last(reason: str) -> bytes:
    return chunk({}, reason) + LAST_USAGE


def played(*pieces: bytes) -> list[dict[str, Any]]:
    shape = MessageShape("r1")
    return events(b"".join([shape.take(Piece(0, piece)) for piece in pieces]) + shape.end())


def events(shown: bytes) -> list[dict[str, Any]]:
    """All events; each has its type as its name, too."""
    found = []
    for event in shown.split(b"\n\n")[:-1]:
        name, _, data = event.partition(b"\n")
        found.append(json.loads(data.removeprefix(b"data: ")))
        assert name == b"event: " + found[-1]["type"].encode()
    return found


def begun(*, cached: int, rest: int) -> dict[str, Any]:
    usage = {"cache_read_input_tokens": cached, "input_tokens": rest, "output_tokens": 0}
    return {"type": "message_start", "message": {**START, "usage": usage}}


def opened(index: int, **block: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def grown(index: int, **delta: str) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": delta}


def closed(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def ended(reason: str, **usage: int) -> list[dict[str, Any]]:
    delta = {"stop_reason": reason, "stop_sequence": None}
    usage = usage or {"output_tokens": 5}
    return [{"type": "message_delta", "delta": delta, "usage": usage}, {"type": "message_stop"}]


def said(index: int, texts: Sequence[str]) -> list[dict[str, Any]]:
    deltas = [grown(index, type="text_delta", text=each) for each in texts]
    return [opened(index, type="text", text=""), *deltas, closed(index)]


def test_text_is_one_block() -> None:
    shown = played(
        progress(20) + progress(21), ROLE + text("a"), text('é"\n') + text("b"), last("stop")
    )
    assert shown == [
        begun(cached=20, rest=1),
        *said(0, ["a", 'é"\n', "b"]),
        *ended("end_turn"),
    ]


@pytest.mark.parametrize("more", [{}, {"content": "b"}], ids=["at the end", "with the last text"])
def test_stop_sequence_is_told(more: dict[str, str]) -> None:
    told = chunk(more, None if more else "stop", __verbose={"stopping_word": "END"})
    shown = played(progress(21), ROLE + text("a"), told + last("stop"))
    assert shown[:-2] == [begun(cached=20, rest=1), *said(0, ["a", *more.values()])]
    assert shown[-2]["delta"] == {"stop_reason": "end_turn", "stop_sequence": "END"}
    assembly = MessageAssembly()
    assembly.add(0, ROLE + text("a") + told + last("stop"))
    assert json.loads(assembly.body())["stop_sequence"] == "END"


def test_thoughts_text_and_calls_are_blocks_one_after_the_other() -> None:
    shown = played(
        progress(21),
        ROLE + thought("x") + thought("y"),
        text("a"),
        call(0, "", id="t1", name="f") + call(0, '{"a":') + call(0, "1}"),
        call(1, "{}", id="", name="g"),
        last("tool_calls"),
    )
    assert shown == [
        begun(cached=20, rest=1),
        opened(0, type="thinking", thinking="", signature=""),
        grown(0, type="thinking_delta", thinking="x"),
        grown(0, type="thinking_delta", thinking="y"),
        grown(0, type="signature_delta", signature=""),
        closed(0),
        *said(1, ["a"]),
        opened(2, type="tool_use", id="t1", name="f", input={}),
        grown(2, type="input_json_delta", partial_json='{"a":'),
        grown(2, type="input_json_delta", partial_json="1}"),
        closed(2),
        opened(3, type="tool_use", id="toolu_chatcmpl-a_1", name="g", input={}),
        grown(3, type="input_json_delta", partial_json="{}"),
        closed(3),
        *ended("tool_use"),
    ]


@pytest.mark.parametrize(
    ("reason", "told"),
    [("stop", "end_turn"), ("length", "max_tokens"), ("tool_calls", "tool_use")],
)
def test_answer_without_content_has_no_block(reason: str, told: str) -> None:
    assert played(progress(21), ROLE, last(reason)) == [begun(cached=20, rest=1), *ended(told)]


def test_first_progress_tells_the_prompt_and_later_attempts_do_not() -> None:
    shown = played(progress(21), ROLE + text("a"), progress(20, 40, 0), text("b"), last("length"))
    assert shown == [begun(cached=20, rest=1), *said(0, ["a", "b"]), *ended("max_tokens")]


def test_server_that_tells_no_progress_counts_the_prompt_at_the_end() -> None:
    shown = played(ROLE + text("a"), last("stop"))
    usage = {"output_tokens": 5, "cache_read_input_tokens": 20, "input_tokens": 1}
    assert shown == [begun(cached=0, rest=0), *said(0, ["a"]), *ended("end_turn", **usage)]


def test_text_that_comes_with_progress_is_shown() -> None:
    told = {"total": 21, "cache": 20, "processed": 21, "time_ms": 1}
    shown = played(chunk({"content": "a"}, prompt_progress=told), last("stop"))
    assert shown == [begun(cached=20, rest=1), *said(0, ["a"]), *ended("end_turn")]


def test_message_begins_once_whatever_its_first_attempts_come_to() -> None:
    shape = MessageShape("r1")
    shown = [shape.take(Piece(0, progress(20)))]
    assert events(shown[0]) == [begun(cached=20, rest=1)]
    for piece in (
        Piece(0, progress(21) + ROLE),
        Piece(0, restart=True),
        Piece(0, progress(9) + ROLE),
    ):
        assert shape.take(piece) == b""
    assert events(shape.take(Piece(0, text("a")))) == said(0, ["a"])[:-1]
    with pytest.raises(WorkerFailed):
        shape.take(Piece(0, restart=True))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (405, "invalid_request_error"),
        (413, "request_too_large"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (501, "api_error"),
        (502, "api_error"),
        (503, "overloaded_error"),
        (504, "timeout_error"),
    ],
)
def test_errors_have_anthropics_types_and_our_codes(status: int, kind: str) -> None:
    error = ApiError(status, "No.", type="server_error", code="why")
    said = {"type": kind, "message": "No.", "code": "why"}
    body = {"type": "error", "error": said, "request_id": "r1"}
    assert error_body(error, "r1") == body
    assert events(MessageShape("r1").fail(error)) == [body]
