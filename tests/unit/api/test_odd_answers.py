"""Answers of workers that nobody can read: what fuzzing has found. Each was a 500, or a cut."""

from collections.abc import Iterator

import pytest

from dispatcher.frames import FROM_SCRIPT, Frame, Kind
from tests.builders import make_chat
from tests.unit.api.service import ANSWER, STARTED, Service, service

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
