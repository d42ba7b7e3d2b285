"""Answers in one piece that take long: blanks go out before them where the operator wants that."""

import json
from collections.abc import Iterator

import pytest

from api.request_log import log
from dispatcher.frames import FROM_SCRIPT, Frame, Kind
from testing.builders import make_chat
from testing.service import ANSWER, STARTED, Service, service

AFTER_S = 0.03
FAILED = Frame(Kind.FAILED, FROM_SCRIPT, payload=b'{"code": "worker_failed", "message": "Lost."}')
MESSAGE = {"model": "tiny", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}


@pytest.fixture
def api() -> Iterator[Service]:
    with service(whole_answer_blanks_after_s=AFTER_S) as running:
        yield running


def test_long_answer_begins_with_blanks(api: Service) -> None:
    api.queue.wait_s = 5 * AFTER_S
    answer = api.chat(make_chat(store=True))
    assert answer.content.startswith(b"  ")
    assert answer.json()["choices"][0]["message"]["content"] == "Hi"
    assert "content-length" not in answer.headers
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-llamaq-ignored"] == "store"


def test_answer_in_time_has_none(api: Service) -> None:
    answer = api.chat(make_chat())
    assert answer.content.startswith(b"{")
    assert int(answer.headers["content-length"]) == len(answer.content)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_late_error_is_the_body_in_its_endpoints_form(
    api: Service, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    api.queue.frames, api.queue.later = (), ((*ANSWER[:1], FAILED), 5 * AFTER_S)
    with caplog.at_level("INFO", log.name):
        answer = api.chat(json.dumps(MESSAGE).encode(), path=path)
    assert answer.status_code == 200
    assert answer.content.startswith(b"  ")
    assert answer.json()["error"]["message"] == "Lost."
    assert answer.json().get("type") == ("error" if path == "/v1/messages" else None)
    assert "status=502" in caplog.text


def test_early_error_has_its_status(api: Service) -> None:
    api.queue.frames = (FAILED,)
    assert api.chat(make_chat()).status_code == 502


def test_without_the_setting_nothing_goes_out_before_the_answer() -> None:
    with service() as api:
        api.queue.wait_s = 3 * AFTER_S
        assert api.chat(make_chat()).content.startswith(b"{")


def answer_of(usage: int, finish: str = "length", **delta: str) -> tuple[Frame, ...]:
    choice = {"finish_reason": finish, "index": 0, "delta": delta}
    used = {"completion_tokens": usage, "prompt_tokens": 1, "total_tokens": usage + 1}
    chunks = {"choices": [choice], "id": "a"}, {"choices": [], "id": "a", "usage": used}
    events = b"".join(b"data: %b\n\n" % json.dumps(chunk).encode() for chunk in chunks)
    done = json.dumps({"prompt_tokens": 1, "completion_tokens": usage}).encode()
    return STARTED, Frame(Kind.CHUNK, 1, usage, events), Frame(Kind.DONE, 2, payload=done)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_client_is_told_of_tokens_that_left_nothing(path: str) -> None:
    with service() as api:
        api.queue.frames = answer_of(14)
        lost = api.chat(json.dumps(MESSAGE).encode(), path=path)
        api.queue.frames = answer_of(14, content="a")
        said = api.chat(json.dumps(MESSAGE).encode(), path=path)
        several = {**MESSAGE, "n": 2}
        api.queue.frames = answer_of(1, "stop")
        silent = api.chat(json.dumps(MESSAGE).encode(), path=path)
        api.queue.frames = answer_of(14)
        both = api.chat(json.dumps(several).encode())
    assert (lost.status_code, lost.headers["x-llamaq-lost-tokens"]) == (200, "14")
    assert "x-llamaq-lost-tokens" not in {*said.headers, *silent.headers}
    assert both.headers["x-llamaq-lost-tokens"] == "28"
