"""Answers of workers that nobody can read: what fuzzing has found. Each was a 500, or a cut."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from dispatcher.frames import FROM_SCRIPT, Frame, Kind
from testing.builders import make_chat
from testing.service import ANSWER, STARTED, Service, service

FAILED = Frame(
    Kind.FAILED, FROM_SCRIPT, payload=b'{"code": "worker_failed", "message": "It broke off."}'
)
PROMPT = b'{"model": "tiny", "prompt": "Hi"}'


@pytest.fixture(scope="module")
def api() -> Iterator[Service]:
    with service() as running:
        yield running


def frames(event: bytes) -> tuple[Frame, ...]:
    return STARTED, Frame(Kind.CHUNK, 1, 1, event), ANSWER[-1]


def test_chunk_of_another_endpoint_is_a_502(api: Service) -> None:
    api.queue.frames = ANSWER
    answer = api.chat(PROMPT, path="/v1/completions")
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "worker_failed")


@pytest.mark.parametrize("event", [b'data: {"choices":7}\n\n', b"data: {]\n\n", b"data: [1]\n\n"])
def test_stream_ends_with_an_error(api: Service, event: bytes) -> None:
    api.queue.frames = frames(event)
    answer = api.chat(make_chat(stream=True, n=2))
    *_, last = answer.text.strip().split("\n\n")
    assert answer.status_code == 200
    assert '"worker_failed"' in last or last == "data: [DONE]"


@pytest.mark.parametrize("code", [b'"odd"', b"[]", b"{}", b"null", b'"internal_error"'])
def test_failure_of_a_kind_that_nobody_knows_is_a_502(api: Service, code: bytes) -> None:
    said = b'{"code": %b, "message": ["No"]}' % code
    api.queue.frames = (STARTED, Frame(Kind.FAILED, FROM_SCRIPT, payload=said))
    answer = api.chat(make_chat())
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "worker_failed")


HALF = b'{"error": {"message": "no \\ud800", "type": "x"}}'


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Kind.FAILED, {"code": "worker_failed", "message": "no \ud800"}),
        (Kind.REJECTED, {"status": 502, "body": HALF.decode()}),
    ],
)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_half_of_a_surrogate_pair_in_an_error_is_replaced(
    api: Service, kind: Kind, said: dict[str, Any], path: str
) -> None:
    api.queue.frames = (STARTED, Frame(kind, FROM_SCRIPT, payload=json.dumps(said).encode()))
    answer = api.chat(make_chat(max_tokens=4), path=path)
    assert (answer.status_code, answer.json()["error"]["message"]) == (502, "no ?")


def test_stream_whose_usage_is_none_ends_with_an_error(api: Service) -> None:
    api.queue.frames = frames(b'data: {"choices":[],"usage":[],"id":"a"}\n\n')[:2]
    api.queue.later = (FAILED,), 0.0
    answer = api.chat(b'{"model": "tiny", "input": "Hi", "stream": true}', path="/v1/responses")
    assert '"worker_failed"' in answer.text.strip().rpartition("\n\n")[2]
