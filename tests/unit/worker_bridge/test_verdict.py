import json

import pytest

from worker_bridge.verdict import Fault, Verdict, judge, status_for_client


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
        (500, "video input is not supported", Fault.REQUEST),
        (500, "Failed to load image or audio file", Fault.REQUEST),
        (500, "tools param requires --jinja flag", Fault.REQUEST),
        (500, "input (9000 tokens) is too large to process.", Fault.REQUEST),
        (500, "Context size has been exceeded.", Fault.WORKER),
        (500, "Compute error.", Fault.WORKER),
        (500, "Invalid input batch.", Fault.WORKER),
        (500, "decode() failed: -3", Fault.WORKER),
        (500, "failed to process speculative batch", Fault.WORKER),
        (500, "failed to process mtmd chunk", Fault.UNSURE),  # of one image, or of all
        (500, "proxy error: connection refused", Fault.WORKER),
        (500, "It said: Failed to parse", Fault.UNSURE),
        (500, "vector::_M_range_check", Fault.UNSURE),
        (500, "", Fault.UNSURE),
        (502, "bad gateway", Fault.WORKER),
        (504, "gateway timeout", Fault.WORKER),
        (505, "HTTP version not supported", Fault.WORKER),
        (429, "too many requests", Fault.OVERLOADED),
        (408, "", Fault.OVERLOADED),
        (425, "", Fault.OVERLOADED),
        (403, "forbidden", Fault.SETUP),
        (413, "", Fault.REQUEST),
        (422, "a field is missing", Fault.REQUEST),
        (302, "", Fault.SETUP),
        (204, "", Fault.SETUP),
    ],
)
def test_refusal_is_blamed_on_whom_it_concerns(status: int, message: str, fault: Fault) -> None:
    assert judge(status, said(message)).fault is fault


@pytest.mark.parametrize(
    "message",
    [
        "\n------------\nWhile executing CallExpression at line 1, column 94 in source:\n"
        "...{{ raise_exception('Only text.') }}...\n      ^\nError: Jinja Exception: Only text.",
        "\n------------\nWhile executing FilterExpression at line 1, column 169 in source:\n"
        "...{{ m.nothing | tojson }}...\n   ^\n"
        "Error: Unknown (built-in) filter 'tojson' for type Undefined (hint: 'nothing')",
        "\nError executing CallExpression at position 7: Jinja Exception: Only text.",
        "Conversation roles must alternate user/assistant at row 1, column 72:\n{{ raise_ex",
        "Value is not callable: null at row 62, column 114:\n   {%- set json = tool | items %}",
    ],
)
def test_chat_template_that_raises_is_the_requests_fault(message: str) -> None:
    """The words of b11549, and those of builds with the template engine before."""
    verdict = judge(500, said(message))
    assert verdict == Verdict(Fault.REQUEST, message)
    assert status_for_client(500, verdict.fault) == 400


@pytest.mark.parametrize(
    "message",
    [
        "The model produced output that does not match the expected peg-native format",
        "Failed to parse input at pos 12: <tool_call>",
        "Invalid diff: now finding less tool calls!",
    ],
)
def test_answer_that_can_not_be_read_is_the_models_fault(message: str) -> None:
    verdict = judge(500, said(message))
    assert verdict == Verdict(Fault.MODEL, message)
    assert status_for_client(500, verdict.fault) == 502


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
