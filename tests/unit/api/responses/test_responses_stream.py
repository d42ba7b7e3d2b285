"""The events of the Responses API that the chunks of a chat become, and the answer in one piece."""

import json
from typing import Any

import httpx
import pytest
from openai import APIError, OpenAI
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from api.endpoint import Piece
from api.errors import ApiError
from api.responses.request import parse_responses
from api.responses.stream import ResponsesShape
from api.responses.whole import assembly
from dispatcher.errors import WorkerFailed
from testing.builders import make_settings

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
NAMES = {"created": 5, "id": "chatcmpl-x", "model": "tiny", "system_fingerprint": "b1"}
USAGE = {
    "completion_tokens": 3,
    "prompt_tokens": 7,
    "total_tokens": 10,
    "prompt_tokens_details": {"cached_tokens": 6},
}
TOOLS = [
    {"type": "function", "name": "f"},
    {"type": "namespace", "name": "mcp", "tools": [{"type": "function", "name": "g"}]},
    {"type": "custom", "name": "patch"},
]
OPENED = ["created", "in_progress"]
ITEM = ["output_item.added", "content_part.added"]
CLOSED = ["content_part.done", "output_item.done"]


def chunk(finish: str | None = None, **delta: Any) -> bytes:
    """As llama-server spells it."""
    choice = {"finish_reason": finish, "index": 0, "delta": delta}
    return event(choices=[choice], **NAMES, object="chat.completion.chunk")


def event(**fields: Any) -> bytes:
    return b"data: %b\n\n" % json.dumps(fields, separators=(",", ":")).encode()


ROLE = chunk(role="assistant", content=None)
LAST = event(choices=[], **{**NAMES, "created": 9}, usage=USAGE)


def call(index: int, arguments: str = "", name: str = "", id_: str = "") -> bytes:
    function = {"name": name, "arguments": arguments} if name else {"arguments": arguments}
    part = {"index": index, "function": function} | ({"id": id_, "type": "function"} if id_ else {})
    return chunk(tool_calls=[part])


def shape(**fields: Any) -> ResponsesShape:
    body = {"model": "tiny", "input": "Hi", "stream": True, "tools": TOOLS, **fields}
    return ResponsesShape(parse_responses(json.dumps(body).encode(), make_settings()), "r")


def read(stream: bytes) -> list[dict[str, Any]]:
    """Its events, each as the official client's model of it takes it."""
    *shown, end = stream.split(b"\n\n")
    assert end == b""
    found = []
    for one in shown:
        name, data = one.split(b"\n")
        told = json.loads(data.removeprefix(b"data: "))
        assert name.decode() == f"event: {told['type']}"
        if name != b"event: response.failed":  # its code is one that the client doesn't know
            EVENT.validate_python(told)
        found.append(told)
    assert [told["sequence_number"] for told in found] == list(range(len(found)))
    return found


def streamed(*chunks: bytes, **fields: Any) -> list[dict[str, Any]]:
    one = shape(**fields)
    return read(b"".join([*(one.take(Piece(0, each)) for each in chunks), one.end()]))


def whole(*chunks: bytes) -> dict[str, Any]:
    body = {"model": "tiny", "input": "Hi", "tools": TOOLS}
    answer = assembly(parse_responses(json.dumps(body).encode(), make_settings()))
    answer.add(0, b"".join(chunks))
    found: dict[str, Any] = json.loads(answer.body())
    Response.model_validate(found)
    return found


def types(events: list[dict[str, Any]]) -> list[str]:
    return [told["type"].removeprefix("response.") for told in events]


def without_ids(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in item.items() if name != "id"} for item in items]


TEXT = (ROLE, chunk(content="On"), chunk(content='"ce\n'), chunk("stop"), LAST)


def test_text() -> None:
    events = streamed(*TEXT)
    deltas = ["output_text.delta"] * 2
    assert types(events) == [*OPENED, *ITEM, *deltas, "output_text.done", *CLOSED, "completed"]
    assert [told["delta"] for told in events if told["type"].endswith("delta")] == ["On", '"ce\n']
    answer = events[-1]["response"]
    assert (answer["id"], answer["created_at"], answer["completed_at"]) == ("resp_r", 5, 9)
    assert answer["output"] == [events[-2]["item"]]
    assert answer["output"][0]["content"][0]["text"] == 'On"ce\n'
    assert {told["item_id"] for told in events if "item_id" in told} == {answer["output"][0]["id"]}
    assert answer["usage"] == {
        "input_tokens": 7,
        "output_tokens": 3,
        "total_tokens": 10,
        "input_tokens_details": {"cached_tokens": 6, "cache_write_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    }


@pytest.mark.parametrize(
    "chunks",
    [
        TEXT,
        (ROLE, chunk(content="On"), chunk("length"), LAST),
        (
            *(ROLE, chunk(reasoning_content="Hm"), chunk(content="On")),
            *(call(0, name="f", id_="c"), call(0, "{}"), call(1, "{}", name="mcp__g", id_="d")),
            *(chunk("tool_calls"), LAST),
        ),
        (ROLE, call(0, '{"input":"a\\nb"}', name="patch", id_="c"), chunk("tool_calls"), LAST),
        (ROLE, call(0, '{"inp', name="patch", id_="c"), chunk("length"), LAST),
        (ROLE, chunk("stop"), LAST),
    ],
    ids=["text", "cut", "all", "custom", "cut call", "nothing"],
)
def test_stream_ends_with_the_answer_in_one_piece(chunks: tuple[bytes, ...]) -> None:
    last, answer = streamed(*chunks)[-1]["response"], whole(*chunks)
    varies = ("id", "output", "completed_at", "created_at")
    assert {n: v for n, v in last.items() if n not in varies} == {
        name: value for name, value in answer.items() if name not in varies
    }
    assert without_ids(last["output"]) == without_ids(answer["output"])


def test_text_that_the_assistant_had_begun_is_in_the_answer_and_in_no_delta() -> None:
    said = {"role": "assistant", "content": "Well. "}
    events = streamed(*TEXT, input=[{"role": "user", "content": "Hi"}, said])
    assert [told["delta"] for told in events if "delta" in told] == ["On", '"ce\n']
    assert events[-1]["response"]["output"][0]["content"][0]["text"] == 'Well. On"ce\n'


def test_reasoning_comes_in_an_item_of_its_own() -> None:
    thoughts = (chunk(reasoning_content="H"), chunk(reasoning_content="m"))
    events = streamed(ROLE, *thoughts, chunk(content="On"), chunk("stop"), LAST)
    assert types(events) == [
        *(*OPENED, *ITEM, "reasoning_text.delta", "reasoning_text.delta", "reasoning_text.done"),
        *(*CLOSED, *ITEM, "output_text.delta", "output_text.done", *CLOSED, "completed"),
    ]
    thought, message = events[-1]["response"]["output"]
    assert thought["content"] == [{"type": "reasoning_text", "text": "Hm"}]
    assert (thought["summary"], thought["encrypted_content"]) == ([], "")
    assert message["content"][0]["text"] == "On"
    assert [told["output_index"] for told in events if "item" in told] == [0, 0, 1, 1]


def test_calls_come_one_after_the_other() -> None:
    calls = (call(0, name="f", id_="c"), call(0, '{"a'), call(0, '":1}'))
    more = (call(1, "{}", name="mcp__g", id_="d"), chunk("tool_calls"), LAST)
    events = streamed(ROLE, *calls, *more)
    delta, done = "function_call_arguments.delta", "function_call_arguments.done"
    assert types(events) == [
        *(*OPENED, "output_item.added", delta, delta, done, "output_item.done"),
        *("output_item.added", delta, done, "output_item.done", "completed"),
    ]
    first, second = events[-1]["response"]["output"]
    assert (first["name"], first["call_id"], first["arguments"]) == ("f", "c", '{"a":1}')
    assert (second["name"], second["namespace"], second["call_id"]) == ("g", "mcp", "d")


def test_call_of_a_custom_tool_is_a_text() -> None:
    calls = (call(0, '{"input":', name="patch", id_="c"), call(0, '"a"}'))
    events = streamed(ROLE, *calls, chunk("tool_calls"), LAST)
    assert types(events)[2:-1] == [
        *("output_item.added", "custom_tool_call_input.delta", "custom_tool_call_input.done"),
        "output_item.done",
    ]
    assert events[-1]["response"]["output"][0]["input"] == "a"


def test_answer_that_was_cut_says_so() -> None:
    events = streamed(ROLE, chunk(reasoning_content="H"), chunk(content="O"), chunk("length"), LAST)
    assert events[-1]["type"] == "response.incomplete"
    answer = events[-1]["response"]
    assert answer["incomplete_details"] == {"reason": "max_output_tokens"}
    assert [item["status"] for item in answer["output"]] == ["completed", "incomplete"]


def test_what_llama_server_tells_beside_the_text_is_told_to_those_who_ask() -> None:
    progress = event(choices=[], **NAMES, prompt_progress={"total": 7, "processed": 0})
    timed = event(
        choices=[{"finish_reason": None, "index": 0, "delta": {"content": "On"}}],
        **NAMES,
        timings={"predicted_n": 1},
    )
    last = event(choices=[], **NAMES, usage=USAGE, timings={"predicted_n": 3})
    chunks = (progress, timed, timed, chunk("stop"), last)
    events = streamed(*chunks, timings_per_token=True, return_progress=True)
    assert [told["type"] for told in events if "prompt_progress" in told] == [
        "response.in_progress"
    ]
    assert [told["timings"]["predicted_n"] for told in events if "timings" in told] == [1, 1, 3]


@pytest.mark.parametrize(("asks", "count"), [(True, 4), (False, 2)])
def test_long_prompt_is_in_progress_until_the_answer_begins(asks: bool, count: int) -> None:
    """What comes later is of an attempt that goes on with the answer."""
    steps = [
        event(choices=[], **NAMES, prompt_progress={"total": 9, "processed": processed})
        for processed in (0, 4, 9)
    ]
    chunks = (*steps, *TEXT[:2], *steps, *TEXT[2:])
    events = streamed(*chunks, return_progress=asks)
    assert types(events)[: count + 2] == ["created", *["in_progress"] * count, "output_item.added"]
    assert types(events).count("in_progress") == count
    assert any("prompt_progress" in told for told in events) == asks


def test_logprobs_are_in_the_events_and_in_the_part() -> None:
    token = {"id": 1, "token": "On", "bytes": [79, 110], "logprob": -0.5, "top_logprobs": []}
    choice = {"finish_reason": None, "index": 0, "delta": {"content": "On"}}
    said = event(choices=[{**choice, "logprobs": {"content": [token]}}], **NAMES)
    events = streamed(ROLE, said, said, chunk("stop"), LAST)
    assert [told["logprobs"] for told in events if told["type"].endswith("delta")] == [[token]] * 2
    assert events[-1]["response"]["output"][0]["content"][0]["logprobs"] == [token, token]


ERROR = ApiError(502, "It broke.", type="server_error", code="worker_failed")


def test_failed_stream_ends_as_those_of_openai_do() -> None:
    one = shape()
    events = read(one.take(Piece(0, b"".join(TEXT[:2]))) + one.fail(ERROR))
    error, failed = events[-2:]
    told = {"message": "It broke.", "type": "server_error", "param": None, "code": "worker_failed"}
    assert error == {**told, "type": "error", "sequence_number": 5, "error": told}
    answer = failed["response"]
    assert (failed["type"], answer["status"], answer["id"]) == (
        "response.failed",
        "failed",
        "resp_r",
    )
    assert answer["error"] == {"code": "worker_failed", "message": "It broke."}


def test_official_client_raises_the_error() -> None:
    one = shape()
    stream = one.take(Piece(0, b"".join(TEXT[:2]))) + one.fail(ERROR)
    answer = httpx.Response(200, headers={"content-type": "text/event-stream"}, content=stream)
    http = httpx.Client(transport=httpx.MockTransport(lambda _: answer))
    with (
        OpenAI(base_url="http://api/v1", api_key="x", http_client=http) as client,
        pytest.raises(APIError, match="It broke") as caught,
    ):
        list(client.responses.create(model="tiny", input="Hi", stream=True))
    assert (caught.value.code, caught.value.type) == ("worker_failed", "server_error")


def test_error_before_the_first_chunk_is_the_only_event() -> None:
    assert types(read(shape().fail(ERROR))) == ["error"]


@pytest.mark.parametrize("chunks", [(ROLE,), (event(choices=[{}]),), (b"data: {\n\n",)])
def test_answer_that_is_none_is_the_workers_fault(chunks: tuple[bytes, ...]) -> None:
    with pytest.raises(WorkerFailed):
        streamed(*chunks)


def test_plain_text_is_shown_without_a_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    one = shape()
    one.take(Piece(0, b"".join(TEXT[:2])))
    monkeypatch.setattr("api.responses.stream.read", None)
    assert read_types(one.take(Piece(0, TEXT[2] * 3))) == ["response.output_text.delta"] * 3


def read_types(stream: bytes) -> list[str]:
    return [json.loads(line[6:])["type"] for line in stream.split(b"\n") if line[:5] == b"data:"]
