"""Anthropic's official client works with nothing but a base URL and a token."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import anthropic
import httpx
import pytest
from anthropic import Anthropic

from testing.builders import make_token
from tests.end_to_end.conftest import Fleet
from tests.end_to_end.test_openai_client import ARGUMENTS, CITY

pytestmark = pytest.mark.real

ASKED: list[Any] = [{"role": "user", "content": "Tell me something."}]
GREEDY: dict[str, Any] = {"model": "tiny", "messages": ASKED, "temperature": 0, "max_tokens": 40}
WEATHER: Any = {"name": "weather", "description": "Tells it.", "input_schema": ARGUMENTS}
TRAFFIC: Any = {"name": "traffic", "input_schema": ARGUMENTS}
CALLED: dict[str, Any] = {
    "messages": [
        *ASKED,
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": ""},
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "a", "name": "weather", "input": {"city": "Lima"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "a",
                    "content": [{"type": "text", "text": "mild"}, {"type": "text", "text": "."}],
                }
            ],
        },
    ],
    "tools": [WEATHER, TRAFFIC],
}
# As Claude Code asks; the checksum is another one in each request.
BILLED = "x-anthropic-billing-header: cc_version=2.1.101.e51; cc_entrypoint=cli; cch=a5145;"
AS_CLAUDE_CODE: dict[str, Any] = {
    "system": [
        {"type": "text", "text": BILLED},
        {"type": "text", "text": "You help.", "cache_control": {"type": "ephemeral"}},
    ],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "<system-reminder>Be kind.</system-reminder>"},
                {"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}},
            ],
        }
    ],
    "metadata": {"user_id": "user_1_account__session_2"},
    "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    "thinking": {"type": "adaptive"},
}


@pytest.fixture
def client(fleet: Fleet) -> Iterator[Anthropic]:
    """It sends the token as `x-api-key`, and nothing else that names it."""
    with Anthropic(base_url=fleet.url, api_key=fleet.token, max_retries=0, timeout=60) as client:
        yield client


def servers_own(fleet: Fleet, fields: Mapping[str, Any]) -> dict[str, Any]:
    """What the first real server answers by itself."""
    headers = {"Connection": "close"}
    url = f"{fleet.servers[0].url}/v1/messages"
    answer = httpx.post(url, json={**GREEDY, **fields}, headers=headers, timeout=60)
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


def comparable(message: Mapping[str, Any]) -> dict[str, Any]:
    """Without what differs from call to call: names, and what was cached."""
    usage = message["usage"]
    tokens = (usage["cache_read_input_tokens"] + usage["input_tokens"], usage["output_tokens"])
    content = [{**block, "id": ""} for block in message["content"]]
    said = {name: value for name, value in message.items() if name != "stop_details"}
    return {**said, "id": "", "content": content, "usage": tokens}


def arguments(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A request as the client takes it, which leaves out what Anthropic's newest models ignore."""
    known = ("model", "messages", "max_tokens")
    asked = {**GREEDY, **fields}
    extra = {name: value for name, value in asked.items() if name not in known}
    return {**{name: asked[name] for name in known}, "extra_body": extra}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"system": "Be brief.", "top_k": 1},
        {"tools": [WEATHER], "tool_choice": {"type": "any"}, "max_tokens": 200},
        CALLED,
        AS_CLAUDE_CODE,
    ],
    ids=["plain", "system", "tool", "history", "claude code"],
)
def test_message_equals_what_the_server_answers_by_itself(
    fleet: Fleet, client: Anthropic, fields: dict[str, Any]
) -> None:
    own = comparable(servers_own(fleet, fields))
    ours = client.messages.create(**arguments(fields))
    assert comparable(ours.to_dict()) == own
    with client.messages.stream(**arguments(fields)) as stream:
        streamed = stream.get_final_message()
    assert comparable(streamed.to_dict()) == own


def test_call_that_the_limit_cuts_has_the_arguments_that_the_server_tells(
    fleet: Fleet, client: Anthropic
) -> None:
    fields = {"tools": [WEATHER], "tool_choice": {"type": "any"}, "max_tokens": 45}
    ours = client.messages.create(**arguments(fields))
    assert comparable(ours.to_dict()) == comparable(servers_own(fleet, fields))
    assert ours.stop_reason == "max_tokens"
    assert ours._request_id


def test_stream_is_one_message_whose_blocks_follow_each_other(
    fleet: Fleet, client: Anthropic
) -> None:
    whole = client.messages.create(**arguments({}))
    events = list(client.messages.create(**arguments({}), stream=True))
    kinds = [event.type for event in events]
    deltas = [kind for kind in kinds if kind == "content_block_delta"]
    assert kinds == [
        *("message_start", "content_block_start", *deltas, "content_block_stop"),
        *("message_delta", "message_stop"),
    ]
    text = "".join(e.delta.text for e in events if e.type == "content_block_delta")  # type: ignore[union-attr]
    assert [text] == [block.text for block in whole.content if block.type == "text"]
    assert len(deltas) > 20


@pytest.mark.parametrize("tool", ["weather", "traffic"])
def test_chosen_tool_is_called_with_arguments_that_grow(client: Anthropic, tool: str) -> None:
    choice = {"type": "tool", "name": tool, "disable_parallel_tool_use": True}
    fields = {"tools": [WEATHER, TRAFFIC], "tool_choice": choice, "max_tokens": 200}
    with client.messages.stream(**arguments({**fields, "temperature": 1.5, "seed": 4})) as stream:
        grown = [event.partial_json for event in stream if event.type == "input_json"]
        message = stream.get_final_message()
    (block,) = message.content
    assert block.type == "tool_use"
    assert (block.name, message.stop_reason) == (tool, "tool_use")
    assert json.loads("".join(grown)) == block.input
    assert block.input["city"] in CITY["enum"]
    assert block.id


def test_answer_obeys_a_schema(client: Anthropic) -> None:
    form = {"type": "json_schema", "schema": ARGUMENTS}
    answer = client.messages.create(
        **arguments({"output_config": {"format": form}, "max_tokens": 200})
    )
    (block,) = answer.content
    assert block.type == "text"
    assert json.loads(block.text)["city"] in CITY["enum"]


def test_errors_are_the_clients_own_exceptions(fleet: Fleet, client: Anthropic) -> None:
    def asked(**fields: Any) -> Any:
        return client.messages.create(**arguments(fields))

    with pytest.raises(anthropic.BadRequestError, match="stop_sequences") as bad:
        asked(stop_sequences=[1])
    assert bad.value.request_id == bad.value.body["request_id"]  # type: ignore[index, call-overload]
    assert (bad.value.type, bad.value.body["error"]["code"]) == (  # type: ignore[index, call-overload]
        "invalid_request_error",
        "invalid_request",
    )
    with pytest.raises(anthropic.NotFoundError, match="Served now: tiny") as unknown:
        asked(model="claude-opus-4")
    assert unknown.value.type == "not_found_error"
    with pytest.raises(anthropic.BadRequestError) as long:
        asked(messages=[{"role": "user", "content": "long " * 3000}])
    assert long.value.body["error"]["code"] == "context_length_exceeded"  # type: ignore[index, call-overload]
    with (
        Anthropic(base_url=fleet.url, api_key=make_token(exp=1), max_retries=0) as late,
        pytest.raises(anthropic.AuthenticationError, match="expired") as expired,
    ):
        late.messages.create(**arguments({}))
    assert expired.value.type == "authentication_error"


def test_bearer_token_and_beta_path_are_taken(fleet: Fleet) -> None:
    with Anthropic(base_url=fleet.url, auth_token=fleet.token, max_retries=0) as client:
        answer = client.beta.messages.create(
            **arguments(AS_CLAUDE_CODE), betas=["claude-code-20250219", "context-1m-2025-08-07"]
        )
    assert answer.usage.output_tokens == 40
