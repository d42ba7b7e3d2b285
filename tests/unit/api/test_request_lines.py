"""Each request has one line in the log, a refused one too: what it tells, and never does."""

import logging
import re
from collections.abc import Iterator

import pytest

from api.request_log import LINES
from dispatcher.frames import FROM_SCRIPT, Frame, Kind
from testing.builders import make_chat, make_token
from testing.service import STARTED, Service, service

PROMPT = "the-words-of-a-prompt"
ASKED = {"messages": [{"role": "user", "content": PROMPT}]}
USED = b'{"prompt_tokens": 9, "completion_tokens": 4, "cached_tokens": 7}'


@pytest.fixture(scope="module")
def shared() -> Iterator[Service]:
    with service(max_body_bytes=5000) as running:
        yield running


@pytest.fixture
def api(shared: Service, caplog: pytest.LogCaptureFixture) -> Service:
    caplog.set_level(logging.INFO, "llamaq.access")
    return shared


def all_of(caplog: pytest.LogCaptureFixture) -> str:
    """What llamaq has logged; the tests' client logs what it asks."""
    records = [each for each in caplog.records if each.name.startswith("llamaq")]
    return "\n".join(each.getMessage() for each in records)


def only_line(caplog: pytest.LogCaptureFixture) -> dict[str, str]:
    (message,) = [each.getMessage() for each in caplog.records if each.name == LINES.log.name]
    return dict(re.findall(r'(\w+)=("[^"]*"|\S+)', message))


def test_line_tells_how_an_answer_came(api: Service, caplog: pytest.LogCaptureFixture) -> None:
    chunk = b'data: {"choices":[{"finish_reason":"stop","index":0,"delta":{"content":"Hi"}}]}\n\n'
    api.queue.frames = (STARTED, Frame(Kind.CHUNK, 1, 1, chunk), Frame(Kind.DONE, 2, payload=USED))
    answer = api.chat(make_chat(**ASKED, user="u7"), sub="ann", delegate=True)
    line = only_line(caplog)
    times = {name: int(line.pop(name)) for name in ("queue_ms", "ttft_ms", "ms")}
    assert line == {
        "id": answer.headers["x-request-id"],
        **{"method": "POST", "path": "/v1/chat/completions", "status": "200"},
        **{"peer": "testclient", "tenant": "ann", "user": "u7", "tier": "default"},
        **{"model": "tiny", "worker": "w1"},
        **{"prompt_tokens": "9", "cached_tokens": "7", "completion_tokens": "4"},
    }
    assert times["queue_ms"] == 7
    assert times["ttft_ms"] <= times["ms"]
    assert PROMPT not in all_of(caplog)


@pytest.mark.parametrize(
    ("method", "path", "body", "told"),
    [
        ("POST", "/v1/chat/completions", b"{", "400 invalid_request me"),
        ("POST", "/v1/chat/completions", make_chat(model="none"), "404 model_not_found me"),
        ("POST", "/v1/chat/completions", b" " * 6000, "413 request_too_large me"),
        ("GET", "/v1/chat/completions", b"", "405 method_not_allowed None"),
        ("PUT", "/v1/models", b"", "405 method_not_allowed None"),
        ("GET", "/nothing/here", b"", "404 not_found None"),
        ("GET", "/v1/models/none", b"", "404 model_not_found me"),
        ("GET", "/v1/models", b"", "200 None me"),
        ("GET", "/slots", b"", "501 not_relayed None"),
    ],
)
def test_line_tells_why_a_request_was_refused(
    api: Service,
    caplog: pytest.LogCaptureFixture,
    method: str,
    path: str,
    body: bytes,
    told: str,
) -> None:
    token = make_token()
    headers = {"Authorization": f"Bearer {token}"}
    answer = api.client.request(method, f"{path}?key={token}", content=body, headers=headers)
    line = only_line(caplog)
    assert f"{line['status']} {line.get('code')} {line.get('tenant')}" == told
    assert (line["method"], line["path"]) == (method, path)
    assert line["id"] == answer.headers["x-request-id"]
    assert token not in all_of(caplog)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/models"])
def test_bad_token_is_a_reason_and_not_in_the_line(
    api: Service, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    method = "GET" if path == "/v1/models" else "POST"
    headers = {"Authorization": "Bearer wrong-token"}
    api.client.request(method, path, content=make_chat(), headers=headers)
    line = only_line(caplog)
    assert (line["status"], line["code"]) == ("401", "invalid_api_key")
    assert "wrong-token" not in all_of(caplog)


@pytest.mark.parametrize("stream", [False, True])
def test_failure_after_the_headers_has_its_code(
    api: Service, caplog: pytest.LogCaptureFixture, stream: bool
) -> None:
    failed = b'{"code": "worker_failed", "message": "x"}'
    api.queue.frames = (STARTED, Frame(Kind.FAILED, FROM_SCRIPT, payload=failed))
    api.chat(make_chat(stream=stream))
    line = only_line(caplog)
    assert (line["status"], line["code"], line["worker"]) == ("502", "worker_failed", "w1")
