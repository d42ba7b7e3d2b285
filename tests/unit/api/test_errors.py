import json

import pytest

from api.errors import (
    BY_CODE,
    ApiError,
    bad_request,
    crash,
    from_llama_server,
    from_llamaq,
    sse_error,
)
from dispatcher.errors import Fenced, LlamaqError


def llama_error(status: int, kind: str, message: str = "why") -> ApiError:
    body = {"error": {"code": status, "message": message, "type": kind}}
    return from_llama_server(status, json.dumps(body).encode())


def with_code(code: str) -> LlamaqError:
    error = LlamaqError("what to do")
    error.code = code
    return error


def test_body_is_an_openai_error_object() -> None:
    assert bad_request("do this", param="n").body() == {
        "error": {
            "message": "do this",
            "type": "invalid_request_error",
            "param": "n",
            "code": "invalid_request",
        }
    }


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("queue_full", 429),
        ("tenant_queue_full", 429),
        ("model_not_found", 404),
        ("model_unavailable", 503),
        ("redis_unavailable", 503),
        ("deadline_exceeded", 504),
        ("worker_failed", 502),
        ("request_rejected", 400),
        ("superseded", 409),
    ],
)
def test_queue_errors_keep_code_and_message(code: str, status: int) -> None:
    error = from_llamaq(with_code(code), "r1")
    assert (error.status, error.code, error.message) == (status, code, "what to do")


def test_every_queue_error_tells_clients_whether_to_retry() -> None:
    for code, (status, _, headers) in BY_CODE.items():
        wait, leave = "Retry-After", "x-should-retry"
        expected = {429: wait, 502: leave, 503: wait, 504: leave}.get(status)
        if code == "cancelled_by_operator":  # who sends it again undoes the order
            expected = leave
        assert expected is None or expected in headers, code
        assert int(headers.get("Retry-After", 1)) <= 120


def test_unknown_code_leaks_nothing() -> None:
    error = from_llamaq(Fenced("epoch 3 is over"), "r1")
    assert (error.status, error.message) == (500, crash("r1").message)
    assert "r1" in error.message


def test_too_long_prompt_has_openais_code() -> None:
    error = llama_error(400, "exceed_context_size_error", "5 tokens too many")
    assert (error.status, error.code) == (400, "context_length_exceeded")
    assert error.message == "5 tokens too many"


def test_too_long_prompt_is_told_how_long_it_is() -> None:
    said = {"code": 400, "message": "m", "type": "exceed_context_size_error"}
    body = json.dumps({"error": said | {"n_prompt_tokens": 9619, "n_ctx": 4096}}).encode()
    error = from_llama_server(400, body).body()["error"]
    assert error == {
        **{"message": "m", "type": "invalid_request_error", "param": None},
        **{"code": "context_length_exceeded", "n_prompt_tokens": 9619, "n_ctx": 4096},
    }


def test_bad_request_passes_and_clients_may_fix_it() -> None:
    error = llama_error(400, "invalid_request_error")
    assert (error.status, error.type, error.headers) == (400, "invalid_request_error", {})


@pytest.mark.parametrize("status", [401, 403, 404, 503])
def test_misconfigured_worker_is_a_bad_gateway(status: int) -> None:
    error = llama_error(status, "authentication_error")
    assert (error.status, error.type) == (502, "server_error")
    assert error.headers == {"x-should-retry": "false"}


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"error": null}', b"\xff"])
def test_unreadable_error_still_makes_an_error_object(body: bytes) -> None:
    assert from_llama_server(413, body).message == "The model server answered 413 and no reason."


def test_sse_error_is_one_event() -> None:
    event = sse_error(bad_request("line\nline"))
    assert event.startswith(b"data: ")
    assert event.index(b"\n\n") == len(event) - 2
    assert json.loads(event[6:])["error"]["message"] == "line\nline"
