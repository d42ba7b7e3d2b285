"""The official client asks for responses, of real servers."""

import json
from typing import Any, Literal

import httpx
import openai
import pytest
from openai import OpenAI
from pydantic import BaseModel

from testing.builders import make_token
from testing.waiting import wait_until
from tests.end_to_end.conftest import Fleet

pytestmark = pytest.mark.real

GREEDY: dict[str, Any] = {
    "model": "tiny",
    "input": "Tell me something.",
    "temperature": 0,
    "max_output_tokens": 40,
}
# The greedy answer has it somewhere: so it ends by itself.
ENDING: dict[str, Any] = {**GREEDY, "extra_body": {"stop": ["a "]}}
CITY = {"type": "string", "enum": ["Paris", "Lima"]}
ARGUMENTS = {
    "type": "object",
    "properties": {"city": CITY},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER: Any = {"type": "function", "name": "weather", "parameters": ARGUMENTS, "strict": True}
CALLING: dict[str, Any] = {
    **GREEDY,
    "tools": [WEATHER],
    "tool_choice": "required",
    "max_output_tokens": 200,
}
TURNS: list[Any] = [
    {"role": "developer", "content": "Be brief."},
    {"role": "user", "content": [{"type": "input_text", "text": "What is the weather?"}]},
    {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [],
        "content": [{"type": "reasoning_text", "text": "I must look."}],
    },
    {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "Let me look."}],
    },
    {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": '{"city":"Lima"}'},
    {"type": "function_call_output", "call_id": "c1", "output": "mild"},
]


class Place(BaseModel):
    """What a model is to fill in."""

    city: Literal["Paris", "Lima"]


@pytest.fixture
def client(fleet: Fleet) -> OpenAI:
    return fleet.openai()


def ask_server(fleet: Fleet, **fields: Any) -> dict[str, Any]:
    """What the first real server answers by itself."""
    url, body = f"{fleet.servers[0].url}/v1/responses", {**GREEDY, **fields}
    answer = httpx.post(url, json=body, headers={"Connection": "close"}, timeout=60)
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


def comparable(answer: dict[str, Any]) -> list[Any]:
    """What must be the same in every answer to a request: its items and its tokens."""
    items = [
        {name: value for name, value in item.items() if name not in ("id", "call_id", "status")}
        for item in answer["output"]
    ]
    return [items, *(answer["usage"][f"{name}_tokens"] for name in ("input", "output", "total"))]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"stop": ["ta"], "instructions": "Be brief."},
        {"tools": [WEATHER], "tool_choice": "required", "max_output_tokens": 200},
        {"input": TURNS},
        {"input": [*TURNS, {"type": "message", "role": "assistant", "content": "It is"}]},
    ],
    ids=["plain", "stop", "tools", "turns", "prefill"],
)
def test_answer_has_all_that_the_server_answers_by_itself(
    fleet: Fleet, fields: dict[str, Any]
) -> None:
    with fleet.http() as http:
        ours = http.post("/responses", json={**GREEDY, **fields})
    assert ours.status_code == 200, ours.text
    direct = ask_server(fleet, **fields)
    assert comparable(ours.json()) == comparable(direct)
    assert direct.keys() <= ours.json().keys()


def test_answer_is_what_the_clients_model_wants(client: OpenAI) -> None:
    answer = client.responses.create(**ENDING, instructions="Be brief.", metadata={"a": "b"})
    type(answer).model_validate(answer.model_dump())  # the client itself checks nothing
    assert answer.output_text
    assert (answer.status, answer.error, answer.incomplete_details) == ("completed", None, None)
    assert (answer.instructions, answer.metadata) == ("Be brief.", {"a": "b"})
    assert (answer.tools, answer.tool_choice, answer.parallel_tool_calls) == ([], "auto", True)
    assert answer.usage
    assert answer.usage.output_tokens_details.reasoning_tokens == 0


def test_answer_that_was_cut_says_so(client: OpenAI) -> None:
    answer = client.responses.create(**GREEDY)
    last = list(client.responses.create(**GREEDY, stream=True))[-1]
    assert last.type == "response.incomplete"
    for cut in (answer, last.response):
        assert cut.incomplete_details
        assert (cut.status, cut.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert last.response.output_text == answer.output_text


def test_stream_is_as_the_clients_helper_wants_it(client: OpenAI) -> None:
    whole = client.responses.create(**ENDING)
    with client.responses.stream(**ENDING) as stream:
        events: list[Any] = list(stream)
        final = stream.get_final_response()
    assert final.output_text == whole.output_text
    assert [event.sequence_number for event in events] == list(range(len(events)))
    types = [event.type for event in events]
    deltas = [event for event in events if event.type == "response.output_text.delta"]
    assert types == [
        *("response.created", "response.in_progress", "response.output_item.added"),
        "response.content_part.added",
        *["response.output_text.delta"] * len(deltas),
        *("response.output_text.done", "response.content_part.done"),
        *("response.output_item.done", "response.completed"),
    ]
    assert deltas[-1].snapshot == whole.output_text
    assert {event.item_id for event in deltas} == {final.output[0].id}
    assert final.usage
    assert whole.usage
    assert final.usage.output_tokens == whole.usage.output_tokens


@pytest.mark.parametrize(
    "tool",
    [
        WEATHER,
        {"type": "namespace", "name": "mcp__maps", "description": "Maps.", "tools": [WEATHER]},
        {"type": "custom", "name": "weather", "description": "Takes a city."},
    ],
    ids=["function", "namespace", "custom"],
)
def test_tool_is_called_and_its_output_is_taken(client: OpenAI, tool: Any) -> None:
    request = {**CALLING, "tools": [{"type": "web_search"}, tool]}
    whole = client.responses.create(**request)
    with client.responses.stream(**request) as stream:
        final = stream.get_final_response()
    for answer in (whole, final):
        (call,) = answer.to_dict()["output"]  # type: ignore[misc]
        assert call["name"] == "weather"
        assert call.get("namespace") == ("mcp__maps" if "tools" in tool else None)
        if tool["type"] == "custom":
            assert call["type"] == "custom_tool_call"
            assert isinstance(call["input"], str)
        else:
            assert json.loads(call["arguments"])["city"] in CITY["enum"]
    kind, said = call["type"], {"role": "user", "content": GREEDY["input"]}
    result = {"type": f"{kind}_output", "call_id": call["call_id"], "output": "mild"}
    turns: list[Any] = [said, call, result]
    again = client.responses.create(**{**request, "input": turns, "tool_choice": "none"})
    assert again.output_text


def test_answer_is_parsed_by_a_schema(client: OpenAI) -> None:
    request = {**GREEDY, "max_output_tokens": 200}
    parsed = client.responses.parse(**request, text_format=Place)
    assert parsed.output_parsed in (Place(city="Paris"), Place(city="Lima"))
    with client.responses.stream(**request, text_format=Place) as stream:
        assert stream.get_final_response().output_parsed == parsed.output_parsed


def test_logprobs_are_told_to_those_who_ask(client: OpenAI) -> None:
    request = {**ENDING, "top_logprobs": 2, "include": ["message.output_text.logprobs"]}
    with client.responses.stream(**request) as stream:
        final = stream.get_final_response()
    for answer in (client.responses.create(**request), final):
        part: Any = answer.output[0].content[0]  # type: ignore[union-attr, index]
        assert len(part.logprobs) > 1
        assert len(part.logprobs[0].top_logprobs) == 2


def test_errors_are_the_clients_own_exceptions(fleet: Fleet, client: OpenAI) -> None:
    with pytest.raises(openai.AuthenticationError, match="expired"):
        OpenAI(base_url=f"{fleet.url}/v1", api_key=make_token(exp=1)).responses.create(**GREEDY)
    with pytest.raises(openai.NotFoundError, match="Served now: tiny"):
        client.responses.create(**{**GREEDY, "model": "gpt-4"})
    with pytest.raises(openai.BadRequestError, match="stores nothing") as stored:
        client.responses.create(**GREEDY, previous_response_id="resp_1")
    assert stored.value.param == "previous_response_id"
    with pytest.raises(openai.BadRequestError) as long:
        client.responses.create(**{**GREEDY, "input": "long " * 3000})
    assert long.value.code == "context_length_exceeded"


def test_client_that_leaves_ends_its_job(fleet: Fleet, client: OpenAI) -> None:
    endless = {"max_output_tokens": 1900, "extra_body": {"ignore_eos": True}}
    stream = client.responses.create(**{**GREEDY, **endless}, stream=True)
    id_ = stream.response.headers["x-request-id"]
    next(iter(stream))
    stream.close()

    def left() -> bool:
        lines = [line for line in fleet.api.output.splitlines() if id_ in line]
        return any("status=499 code=client_gone" in line for line in lines)

    wait_until(left)
