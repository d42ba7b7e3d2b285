"""The official client works with nothing but a base URL and a token."""

import asyncio
import json
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI

from testing.builders import make_token
from testing.nearly import nearly
from testing.waiting import wait_until
from tests.end_to_end.conftest import Fleet

pytestmark = pytest.mark.real

ASKED: list[Any] = [{"role": "user", "content": "Tell me something."}]
GREEDY: dict[str, Any] = {"model": "tiny", "messages": ASKED, "temperature": 0, "max_tokens": 40}
CITY = {"type": "string", "enum": ["Paris", "Lima"]}
ARGUMENTS = {"type": "object", "properties": {"city": CITY}, "required": ["city"]}
WEATHER: Any = {"type": "function", "function": {"name": "weather", "parameters": ARGUMENTS}}
TRAFFIC: Any = {"type": "function", "function": {"name": "traffic", "parameters": ARGUMENTS}}


def ask_server(fleet: Fleet, **fields: Any) -> dict[str, Any]:
    """What the first real server answers by itself."""
    url = f"{fleet.servers[0].url}/v1/chat/completions"
    answer = httpx.post(url, json={**GREEDY, **fields}, headers={"Connection": "close"}, timeout=60)
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


def comparable(answer: dict[str, Any]) -> dict[str, Any]:
    """Without what differs from call to call: names, times, and what was cached."""
    kept = {
        name: value for name, value in answer.items() if name not in ("id", "created", "timings")
    }
    usage = {name: kept["usage"][name] for name in ("prompt_tokens", "completion_tokens")}
    for choice in kept["choices"]:
        for call in choice["message"].get("tool_calls") or []:
            call.pop("id", None)
    return {**kept, "usage": usage}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"stop": ["ta"]},
        {"logprobs": True, "top_logprobs": 3},
        {"tools": [WEATHER], "tool_choice": "required", "max_tokens": 200},
        {"messages": [*ASKED, {"role": "assistant", "content": "Once"}]},
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "place", "schema": ARGUMENTS},
            },
            "max_tokens": 200,
        },
    ],
    ids=["plain", "stop", "logprobs", "tools", "prefill", "schema"],
)
def test_answer_equals_what_the_server_answers_by_itself(
    fleet: Fleet, fields: dict[str, Any]
) -> None:
    with fleet.http() as client:
        ours = client.post("/v1/chat/completions", json={**GREEDY, **fields})
    assert ours.status_code == 200, ours.text
    assert comparable(ours.json()) == nearly(comparable(ask_server(fleet, **fields)))


def test_streamed_text_equals_the_answer_in_one_piece(fleet: Fleet) -> None:
    whole = fleet.openai().chat.completions.create(**GREEDY)
    chunks = list(fleet.openai().chat.completions.create(**GREEDY, stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == whole.choices[0].message.content
    assert chunks[-1].choices[0].finish_reason == whole.choices[0].finish_reason
    assert len({chunk.id for chunk in chunks}) == 1


def test_stream_has_usage_and_progress_only_for_those_who_asked(fleet: Fleet) -> None:
    plain = stream(fleet)
    assert not any("usage" in event or "prompt_progress" in event for event in plain)
    assert ["timings" in event for event in plain].count(True) == 1
    with_usage = stream(fleet, stream_options={"include_usage": True})
    assert with_usage[-1]["choices"] == []
    assert with_usage[-1]["usage"]["completion_tokens"] == 40
    assert any("prompt_progress" in event for event in stream(fleet, return_progress=True))
    assert all("timings" in event for event in stream(fleet, timings_per_token=True)[1:])


def stream(fleet: Fleet, **fields: Any) -> list[dict[str, Any]]:
    body = {**GREEDY, **fields, "stream": True}
    with fleet.http() as client:
        text = client.post("/v1/chat/completions", json=body).text
    assert text.endswith("\n\ndata: [DONE]\n\n")
    events = text.removesuffix("\n\n").split("\n\n")[:-1]
    return [json.loads(event.removeprefix("data: ")) for event in events]


def test_tool_call_arrives_whole_in_a_stream(fleet: Fleet) -> None:
    request = {**GREEDY, "tools": [WEATHER], "tool_choice": "required", "max_tokens": 200}
    calls = [
        call
        for chunk in fleet.openai().chat.completions.create(**request, stream=True)
        for choice in chunk.choices
        for call in choice.delta.tool_calls or []
    ]
    assert calls[0].function
    assert calls[0].function.name == "weather"
    arguments = "".join(call.function.arguments or "" for call in calls if call.function)
    assert json.loads(arguments)["city"] in CITY["enum"]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("tool", [WEATHER, TRAFFIC], ids=["weather", "traffic"])
@pytest.mark.parametrize("as_list", [False, True], ids=["named", "allowed"])
def test_only_the_chosen_tool_is_called(
    fleet: Fleet, tool: Any, streamed: bool, as_list: bool
) -> None:
    choice: Any = {key: tool[key] for key in ("type", "function")}
    if as_list:
        allowed = {"mode": "required", "tools": [choice]}
        choice = {"type": "allowed_tools", "allowed_tools": allowed}
    request = {**GREEDY, "tools": [WEATHER, TRAFFIC], "tool_choice": choice, "max_tokens": 200}
    for seed in range(4):
        sampled = {**request, "temperature": 1.5, "seed": seed, "stream": streamed}
        assert called(fleet, sampled) == {tool["function"]["name"]}


def called(fleet: Fleet, request: dict[str, Any]) -> set[str]:
    """The names of the tools that the model calls."""
    with fleet.openai() as client:
        answer: Any = client.chat.completions.create(**request)
        said = (
            [choice.delta for chunk in answer for choice in chunk.choices]
            if request["stream"]
            else [answer.choices[0].message]
        )
    calls = [call for part in said for call in part.tool_calls or []]
    return {call.function.name for call in calls if call.function.name}


def test_tool_that_is_not_there_can_not_be_chosen(fleet: Fleet) -> None:
    choice: Any = {"type": "function", "function": {"name": "tides"}}
    with pytest.raises(openai.BadRequestError, match="tides") as caught:
        called(fleet, {**GREEDY, "tools": [WEATHER], "tool_choice": choice, "stream": False})
    assert caught.value.param == "tool_choice.function.name"


def test_call_without_arguments_in_a_history_is_answered(fleet: Fleet) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "weather", "arguments": ""}}
    history = [
        *ASKED,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "mild"},
    ]
    with fleet.openai() as client:
        answer = client.chat.completions.create(**{**GREEDY, "messages": history})
    assert answer.choices[0].message.content


def test_answer_obeys_a_json_schema(fleet: Fleet) -> None:
    schema: Any = {"type": "json_schema", "json_schema": {"name": "place", "schema": ARGUMENTS}}
    request = {**GREEDY, "response_format": schema, "max_tokens": 200}
    answer = fleet.openai().chat.completions.create(**request)
    assert json.loads(answer.choices[0].message.content or "")["city"] in CITY["enum"]


def test_several_choices_are_one_answer(fleet: Fleet) -> None:
    request = {**GREEDY, "temperature": 1.0, "seed": 7, "n": 3, "max_tokens": 10}
    endless = {"ignore_eos": True}
    answer = fleet.openai().chat.completions.create(**request, extra_body=endless)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert len({choice.message.content for choice in answer.choices}) > 1
    assert answer.usage
    assert answer.usage.completion_tokens == 30


def test_several_choices_are_one_stream(fleet: Fleet) -> None:
    request = {**GREEDY, "n": 2, "max_tokens": 10, "stream_options": {"include_usage": True}}
    chunks = list(fleet.openai().chat.completions.create(**request, stream=True))
    assert len({chunk.id for chunk in chunks}) == 1
    ends = [c.index for chunk in chunks for c in chunk.choices if c.finish_reason]
    assert sorted(ends) == [0, 1]
    usages = [chunk.usage for chunk in chunks if chunk.usage]
    assert [usage.completion_tokens for usage in usages] == [20]


async def test_async_client_streams(fleet: Fleet) -> None:
    client = AsyncOpenAI(base_url=f"{fleet.url}/v1", api_key=fleet.token, max_retries=0)

    async def one() -> int:
        chunks = await client.chat.completions.create(**GREEDY, stream=True)
        return len([chunk async for chunk in chunks])

    async with client:
        assert min(await asyncio.gather(*(one() for _ in range(8)))) > 30


def test_models_are_those_of_the_live_workers(fleet: Fleet) -> None:
    models = fleet.openai().models.list().data
    assert [model.id for model in models] == ["tiny"]
    assert fleet.openai().models.retrieve("tiny").id == "tiny"
    with pytest.raises(openai.NotFoundError, match="No worker serves"):
        fleet.openai().models.retrieve("none")


def test_reply_names_request_worker_and_wait(fleet: Fleet) -> None:
    answer = fleet.openai().chat.completions.with_raw_response.create(**GREEDY)
    assert answer.headers["x-llamaq-worker"].startswith("worker")
    assert int(answer.headers["x-llamaq-queue-ms"]) >= 0
    id_ = answer.headers["x-request-id"]

    def told() -> str:
        lines = fleet.api.output.splitlines()
        return next((line for line in lines if id_ in line and "tokens=" in line), "")

    wait_until(told)  # it is written behind the answer
    line = told()
    for part in ("tenant=me", "model=tiny", "worker=worker", "status=200", "queue_ms=", "ttft_ms="):
        assert part in line
    assert "completion_tokens=40" in line
    assert "Tell me something" not in fleet.api.output


def test_errors_are_the_clients_own_exceptions(fleet: Fleet) -> None:
    with pytest.raises(openai.AuthenticationError, match="expired"):
        client(fleet, make_token(exp=1)).chat.completions.create(**GREEDY)
    with pytest.raises(openai.NotFoundError, match="Served now: tiny"):
        fleet.openai().chat.completions.create(**{**GREEDY, "model": "gpt-4"})
    with pytest.raises(openai.BadRequestError, match="messages"):
        fleet.openai().chat.completions.create(**{**GREEDY, "messages": []})
    long = [{"role": "user", "content": "long " * 3000}]
    with pytest.raises(openai.BadRequestError) as raised:
        fleet.openai().chat.completions.create(**{**GREEDY, "messages": long})
    assert raised.value.code == "context_length_exceeded"


def client(fleet: Fleet, token: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{fleet.url}/v1", api_key=token, max_retries=0)
