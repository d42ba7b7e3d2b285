"""Requests that need no slot, through the whole stack: they say what a server says itself, and wait
for no slot.
"""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from anthropic import Anthropic
from redis import Redis

from testing.waiting import wait_until
from tests.end_to_end.conftest import SLOTS, Fleet

pytestmark = pytest.mark.real

CHAT: dict[str, Any] = {"messages": [{"role": "user", "content": "Héllo, is it 日本?"}]}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
COUNT = "/v1/chat/completions/input_tokens"


@pytest.fixture(scope="module")
def direct(fleet: Fleet) -> Iterator[httpx.Client]:
    """A client of one of the servers."""
    with httpx.Client(
        base_url=fleet.servers[0].url, headers={"Connection": "close"}, timeout=60, trust_env=False
    ) as client:
        yield client


@pytest.fixture(scope="module")
def relayed(fleet: Fleet) -> Iterator[httpx.Client]:
    with fleet.http() as client:
        yield client


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/tokenize", {"content": "Once upon é 🎉"}),
        ("/tokenize", {"content": "Once é", "with_pieces": True, "add_special": True}),
        ("/tokenize", {"content": "<|im_start|>", "parse_special": False}),
        ("/tokenize", {"content": ["On", 99, "e"]}),
        ("/tokenize", {"content": []}),
        ("/tokenize", {}),
        ("/detokenize", {"tokens": [79, 110, 99, 101]}),
        ("/detokenize", {"tokens": [240, 159]}),
        ("/detokenize", {}),
        ("/apply-template", CHAT),
        ("/apply-template", {**CHAT, "tools": [TOOL]}),
        (COUNT, CHAT),
        (COUNT, {**CHAT, "tools": [TOOL], "n": 2, "max_tokens": 2**30}),
        ("/v1/responses/input_tokens", {"input": "Hi"}),
        ("/v1/responses/input_tokens", {"input": "Hi", "instructions": "Be brief."}),
        ("/v1/messages/count_tokens", {**CHAT, "system": "Be brief."}),
    ],
)
def test_answer_is_the_server_s(
    direct: httpx.Client, relayed: httpx.Client, path: str, body: dict[str, Any]
) -> None:
    expected = direct.post(path, json={**body, "model": "tiny"})
    for asked in ({**body, "model": "tiny"}, body):  # the only model need not be named
        answer = relayed.post(path, json=asked)
        assert (answer.status_code, answer.json()) == (200, expected.json()), answer.text


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/tokenize", {"content": 5}, "content"),
        ("/tokenize", {"content": [["a"]]}, "content"),
        ("/tokenize", {"content": [-1]}, "content"),
        ("/tokenize", {"content": "a", "with_pieces": 1}, "with_pieces"),
        ("/detokenize", {"tokens": "79"}, "tokens"),
        ("/detokenize", {"tokens": [True]}, "tokens"),
        ("/detokenize", {"tokens": [2**31]}, "tokens"),
        ("/tokenize", {"content": "a", "model": 5}, "model"),
        ("/apply-template", {}, "messages"),
        (COUNT, {**CHAT, "model": ["tiny"]}, "model"),
    ],
)
def test_bad_input_names_the_field(
    relayed: httpx.Client, path: str, body: dict[str, Any], param: str
) -> None:
    answer = relayed.post(path, json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_token_that_the_model_does_not_have_is_no_fault_of_its_server(
    direct: httpx.Client, relayed: httpx.Client
) -> None:
    body = {"tokens": [99_999]}
    said = direct.post("/detokenize", json=body).json()["error"]["message"]
    answer = relayed.post("/detokenize", json=body)
    assert answer.json()["error"]["message"] == said
    assert relayed.post("/detokenize", json={"tokens": [79]}).json() == {"content": "O"}


def test_official_client_counts_tokens(fleet: Fleet) -> None:
    with Anthropic(base_url=fleet.url, auth_token=fleet.token, max_retries=0) as client:
        counted = client.messages.count_tokens(model="tiny", messages=CHAT["messages"])
    used = fleet.openai().chat.completions.create(model="tiny", max_tokens=1, **CHAT).usage
    assert used is not None
    assert counted.input_tokens == used.prompt_tokens


def test_errors_have_the_form_of_their_api(relayed: httpx.Client) -> None:
    answer = relayed.post("/v1/messages/count_tokens", json={"model": "tiny"})
    assert (answer.status_code, answer.json()["type"]) == (400, "error")


def test_side_requests_are_answered_while_all_slots_are_busy(
    fleet: Fleet, relayed: httpx.Client
) -> None:
    redis = Redis.from_url(fleet.redis_url)
    with ExitStack() as stack:
        slots = len(fleet.servers) * SLOTS
        for _ in range(slots + 1):
            stack.enter_context(long_stream(fleet))
        wait_until(lambda: len(running(redis)) == slots)
        wait_until(lambda: redis.zcard("llamaq:{tiny}:queue") == 1)
        before = running(redis)
        for _ in range(3):  # ten take a busy machine as long as the streams
            answer = relayed.post("/tokenize", json={"content": "Once"})
            assert answer.json() == {"tokens": [79, 110, 99, 101]}
        assert running(redis) == before, "a stream has ended: this shows nothing"
        assert redis.zcard("llamaq:{tiny}:queue") == 1
    wait_until(lambda: not running(redis))
    redis.close()


def long_stream(fleet: Fleet) -> socket.socket:
    """A client that asks for one, and reads nothing: it ends with its connection."""
    body = {**CHAT, "model": "tiny", "stream": True, "max_tokens": 1800, "ignore_eos": True}
    url, content = httpx.URL(fleet.url), json.dumps(body).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: {url.host}\r\n"
        f"Authorization: Bearer {fleet.token}\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    client = socket.create_connection((url.host, url.port))
    client.sendall(head.encode() + content)
    return client


def running(redis: Redis) -> list[bytes]:
    """The attempts that have slots."""
    keys = redis.keys("llamaq:{tiny}:running:*")
    return sorted(token for key in keys for token in redis.zrangebyscore(key, 0, "+inf"))
