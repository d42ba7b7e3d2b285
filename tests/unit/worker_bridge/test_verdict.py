import json

import pytest

from worker_bridge.verdict import Fault, Verdict, judge


def said(message: str, **fields: object) -> bytes:
    return json.dumps({"error": {"code": 0, "message": message, **fields}}).encode()


@pytest.mark.parametrize(
    ("status", "message", "fault"),
    [
        (400, "JSON schema conversion failed", Fault.REQUEST),
        (401, "Invalid API Key", Fault.SETUP),
        (404, "File Not Found", Fault.SETUP),
        (501, "This server does not support audio", Fault.REQUEST),
        (503, "Loading model", Fault.LOADING),
        (500, "Failed to parse messages: missing role", Fault.REQUEST),
        (500, "Failed to parse tools: not a list", Fault.REQUEST),
        (500, "image input is not supported - hint: provide the mmproj", Fault.REQUEST),
        (500, "audio input is not supported", Fault.REQUEST),
        (500, "tools param requires --jinja flag", Fault.REQUEST),
        (500, "input (9000 tokens) is too large to process.", Fault.REQUEST),
        (500, "Context size has been exceeded.", Fault.WORKER),
        (500, "Compute error.", Fault.WORKER),
        (500, "Invalid input batch.", Fault.WORKER),
        (500, "decode() failed: -3", Fault.WORKER),
        (500, "failed to process mtmd chunk", Fault.WORKER),
        (500, "proxy error: connection refused", Fault.WORKER),
        (500, "It said: Failed to parse", Fault.UNSURE),
        (500, "vector::_M_range_check", Fault.UNSURE),
        (500, "", Fault.UNSURE),
        (502, "bad gateway", Fault.WORKER),
        (504, "gateway timeout", Fault.WORKER),
        (302, "", Fault.SETUP),
        (204, "", Fault.SETUP),
    ],
)
def test_refusal_is_blamed_on_whom_it_concerns(status: int, message: str, fault: Fault) -> None:
    assert judge(status, said(message)).fault is fault


@pytest.mark.parametrize("status", [400, 500])
def test_prompt_that_is_too_long_for_this_server_may_suit_another(status: int) -> None:
    """The words and fields of b11549; older builds said 500."""
    message = (
        "request (9619 tokens) exceeds the available context size (4096 tokens), try increasing it"
    )
    body = said(message, type="exceed_context_size_error", n_prompt_tokens=9619, n_ctx=4096)
    assert judge(status, body) == Verdict(Fault.CONTEXT, message)


def test_error_of_a_loading_server_stays_one_of_loading() -> None:
    assert judge(503, said("x", type="exceed_context_size_error")).fault is Fault.LOADING


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (said("no"), "no"),
        (b"", ""),
        (b"<html>gateway</html>", "<html>gateway</html>"),
        (b'{"error":"text"}', '{"error":"text"}'),
        (b"[]", "[]"),
        (b"\xff" + b"x" * 300, "�" + "x" * 199),
    ],
)
def test_message_is_found_in_whatever_came(body: bytes, message: str) -> None:
    assert judge(400, body).message == message
