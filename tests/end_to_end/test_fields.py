"""What llama-server takes, llamaq takes, and its answer is the same; on real servers."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from testing.builders import make_chat, make_token
from testing.field_cases import CONTEXT
from tests.end_to_end.conftest import Fleet
from tests.end_to_end.odd_histories import HISTORIES, USER

pytestmark = pytest.mark.real

PATH = "/v1/chat/completions"
FIXED = {"temperature": 0, "seed": 1, "max_tokens": 2}


# llama-server may close a connection that it has just offered to keep.
CLIENT = httpx.Client(timeout=60, limits=httpx.Limits(max_keepalive_connections=0))


@pytest.fixture(autouse=True, scope="module")
def closed_at_the_end() -> Iterator[None]:
    with CLIENT:
        yield


def direct(fleet: Fleet, body: bytes) -> httpx.Response:
    return CLIENT.post(f"{fleet.servers[0].url}{PATH}", content=body)


def through(fleet: Fleet, body: bytes, **headers: str) -> httpx.Response:
    token = headers.pop("token", fleet.token)
    named = {"Authorization": f"Bearer {token}"} | headers
    return CLIENT.post(f"{fleet.url}{PATH}", content=body, headers=named)


def said(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()["choices"], answer.json()["usage"]["prompt_tokens"]


def tool(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}


@pytest.mark.parametrize("case", HISTORIES)
def test_history_is_taken_as_the_server_takes_it(fleet: Fleet, case: str) -> None:
    body = make_chat(messages=HISTORIES[case], **FIXED)
    theirs, ours = direct(fleet, body), through(fleet, body)
    if theirs.status_code == 200:
        assert said(ours) == said(theirs)
    else:
        assert ours.status_code == 400, ours.text
        assert ours.json()["error"]["message"]


@pytest.mark.parametrize(
    "fields",
    [
        {"top_k": 5.0, "max_tokens": 2.0, "seed": 7.0},
        {"stream_options": {"include_usage": True}},
        {"service_tier": "scale"},
        {"service_tier": 3},
        {"user": {"id": "u1", "name": "Ada", "email": "a@b", "role": "user"}},
    ],
    ids=str,
)
def test_odd_value_is_taken_as_the_server_takes_it(fleet: Fleet, fields: dict[str, Any]) -> None:
    body = make_chat(**FIXED | fields)
    delegate = make_token(delegate=True)
    assert said(through(fleet, body, token=delegate)) == said(direct(fleet, body))


def test_body_may_have_a_mark_of_utf_8_or_be_packed(fleet: Fleet) -> None:
    body = make_chat(**FIXED)
    plain = said(through(fleet, body))
    assert plain == said(direct(fleet, body))
    assert said(through(fleet, b"\xef\xbb\xbf" + body)) == plain
    packed = gzip.compress(body)
    assert said(through(fleet, packed, **{"Content-Encoding": "gzip"})) == plain
    refused = through(fleet, packed, **{"Content-Encoding": "br"})
    assert (refused.status_code, "'br'" in refused.json()["error"]["message"]) == (415, True)


def test_too_long_prompt_is_told_its_length_and_the_context(fleet: Fleet) -> None:
    body = make_chat(messages=[{"role": "user", "content": "a b " * CONTEXT}])
    theirs, ours = (ask(fleet, body).json()["error"] for ask in (direct, through))
    assert ours["code"] == "context_length_exceeded"
    assert (ours["n_prompt_tokens"], ours["n_ctx"]) == (theirs["n_prompt_tokens"], CONTEXT)


@pytest.mark.parametrize("form", ["function", "allowed_tools"])
@pytest.mark.parametrize("name", ["paint", "dance"])
def test_only_the_tool_that_is_named_is_called(fleet: Fleet, form: str, name: str) -> None:
    """llama-server itself takes no heed of the name."""
    named: dict[str, Any] = {"type": "function", "function": {"name": name}}
    if form == "allowed_tools":
        named = {"type": form, form: {"mode": "required", "tools": [named]}}
    tools = [tool("paint"), tool("dance")]
    body = {"tools": tools, "tool_choice": named, "parallel_tool_calls": False, "max_tokens": 60}
    (choice,), _ = said(through(fleet, make_chat(**FIXED | body)))
    (call,) = choice["message"]["tool_calls"]
    assert call["function"]["name"] == name
    unknown = json.loads(make_chat(**body).replace(f'"{name}"'.encode(), b'"sing"', 1))
    unknown["tool_choice"] = {"type": "function", "function": {"name": "fly"}}
    refused = through(fleet, json.dumps(unknown).encode())
    assert (refused.status_code, "fly" in refused.json()["error"]["message"]) == (400, True)


def test_client_learns_which_fields_have_no_effect(fleet: Fleet) -> None:
    body = make_chat(store=True, verbosity="low", messages=[USER], stream=True, max_tokens=1)
    answer = through(fleet, body)
    assert answer.headers["x-llamaq-ignored"] == "store, verbosity"
    assert "[DONE]" in answer.text
