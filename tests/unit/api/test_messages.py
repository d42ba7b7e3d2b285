"""A request for a message on its way to the queue and back, on a queue that a test scripts."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from httpx import Response

from dispatcher.errors import QueueFull
from dispatcher.frames import Kind
from dispatcher.job import Want
from dispatcher.tier import Tier
from testing.builders import make_chat, make_token
from testing.service import STARTED, Service, end, service
from tests.unit.api.test_mid_stream import LOST, chunk

BODY = {"model": "tiny", "max_tokens": 9, "messages": [{"role": "user", "content": "x" * 400}]}


@pytest.fixture
def api() -> Iterator[Service]:
    with service() as running:
        yield running


def asked(api: Service, path: str = "/v1/messages", claims: Any = None, **fields: Any) -> Response:
    key = {"x-api-key": make_token(**(claims or {}))}
    return api.client.post(path, json={**BODY, **fields}, headers=key)


def test_job_is_that_of_a_chat_on_the_terms_of_the_message(api: Service) -> None:
    claims = {"tier": "priority", "delegate": True}
    fields = {"metadata": {"user_id": "u1"}, "service_tier": "standard_only", "stream": True}
    assert asked(api, "/v1/messages?beta=true", claims, **fields).status_code == 200
    (job,) = api.queue.jobs
    assert (job.path, job.form) == ("/v1/chat/completions", "")
    assert (job.user, job.tier) == ("u1", Tier.DEFAULT)
    assert (job.prompt_tokens, job.completion_tokens) == (100, 9)
    assert job.wants == {Want.STREAM, Want.USAGE, Want.PROGRESS}


@pytest.mark.parametrize(
    ("fields", "tier"),
    [
        ({}, Tier.PRIORITY),
        ({"speed": "fast"}, Tier.PRIORITY),
        ({"service_tier": "fast"}, Tier.PRIORITY),
        ({"speed": "fast", "service_tier": "standard_only"}, Tier.DEFAULT),
        ({"speed": "fast", "service_tier": "auto"}, Tier.PRIORITY),
        ({"speed": "standard", "service_tier": "flex"}, Tier.FLEX),
    ],
)
def test_fast_is_the_most_urgent_tier_of_the_token(
    api: Service, fields: dict[str, str], tier: Tier
) -> None:
    answer = asked(api, claims={"tier": "priority"}, **fields)
    assert answer.headers["x-llamaq-tier"] == tier
    assert "x-llamaq-ignored" not in answer.headers
    lower = asked(api, **{"speed": "fast", **fields})
    assert lower.headers["x-llamaq-tier"] == tier.capped(Tier.DEFAULT)


@pytest.mark.parametrize("path", ["/v1/messages", "/messages", "/v1/messages/"])
def test_answer_is_a_message(api: Service, path: str) -> None:
    message = asked(api, path).json()
    assert message["content"] == [{"type": "text", "text": "Hi"}]
    assert (message["type"], message["stop_reason"]) == ("message", "end_turn")


def error_of(answer: Response) -> tuple[int, str, str]:
    said = answer.json()
    assert said["type"] == "error"
    return answer.status_code, said["error"]["type"], said["error"]["code"]


def test_request_has_its_id_where_anthropics_clients_look(api: Service) -> None:
    good, bad, gone = asked(api), asked(api, temperature="hot"), asked(api, "/v1/message")
    ids = [answer.headers["x-request-id"] for answer in (good, bad)]
    assert [answer.headers["request-id"] for answer in (good, bad)] == ids
    assert bad.json()["request_id"] == ids[1]
    assert "request-id" not in gone.headers
    chat = api.chat(make_chat())
    assert "request-id" not in chat.headers
    assert chat.headers["x-request-id"]


def test_refusals_are_anthropics(api: Service) -> None:
    bad = asked(api, temperature="hot")
    assert error_of(bad) == (400, "invalid_request_error", "invalid_request")
    nobody = api.client.post("/v1/messages", json=BODY)
    assert error_of(nobody) == (401, "authentication_error", "invalid_api_key")
    wrong = api.client.get("/v1/messages")
    assert error_of(wrong) == (405, "invalid_request_error", "method_not_allowed")
    api.queue.refusal = QueueFull("Full.")
    full = asked(api)
    assert error_of(full) == (429, "rate_limit_error", "queue_full")
    assert "retry-after" in full.headers


def test_failure_before_the_stream_is_a_status(api: Service) -> None:
    api.queue.frames = end(Kind.EXPIRED)
    assert error_of(asked(api, stream=True)) == (504, "timeout_error", "deadline_exceeded")


def test_failure_within_the_stream_is_its_last_event(api: Service) -> None:
    called = {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{"}}]}
    api.queue.frames = (STARTED, chunk(1, 1, "a", **called), LOST)
    answer = asked(api, stream=True)
    assert answer.status_code == 200
    *_, last = answer.text.removesuffix("\n\n").split("\n\n")
    name, _, data = last.partition("\n")
    assert name == "event: error"
    error = json.loads(data.removeprefix("data: "))["error"]
    assert (error["type"], error["code"]) == ("api_error", "worker_failed")
    assert "calling a tool" in error["message"]
