import json

import pytest

from worker_bridge.ends import End
from worker_bridge.verdict import Verdict, judge, status_for_client


def said(message: str, **fields: object) -> bytes:
    return json.dumps({"error": {"code": 0, "message": message, **fields}}).encode()


@pytest.mark.parametrize(
    ("status", "message", "end"),
    [
        (400, "JSON schema conversion failed", End.REJECTED),
        (401, "Invalid API Key", End.SETUP),
        (404, "File Not Found", End.SETUP),
        (501, "This server does not support audio", End.REJECTED),
        (503, "Loading model", End.LOADING),
        (500, "Failed to parse messages: missing role", End.REJECTED),
        (500, "Failed to parse tools: not a list", End.REJECTED),
        (500, "image input is not supported - hint: provide the mmproj", End.REJECTED),
        (500, "audio input is not supported", End.REJECTED),
        (500, "video input is not supported", End.REJECTED),
        (500, "Failed to load image or audio file", End.REJECTED),
        (500, "tools param requires --jinja flag", End.REJECTED),
        (500, "input (9000 tokens) is too large to process.", End.REJECTED),
        (500, "the current context does not support logits computation. skipping", End.REJECTED),
        (500, "Context size has been exceeded.", End.WORKER),
        (500, "Compute error.", End.WORKER),
        (500, "Invalid input batch.", End.WORKER),
        (500, "decode() failed: -3", End.WORKER),
        (500, "failed to process speculative batch", End.WORKER),
        (500, "failed to process mtmd chunk", End.UNSURE),  # of one image, or of all
        (500, "proxy error: connection refused", End.WORKER),
        (500, "It said: Failed to parse", End.UNSURE),
        (500, "vector::_M_range_check", End.UNSURE),
        (500, "", End.UNSURE),
        (502, "bad gateway", End.WORKER),
        (504, "gateway timeout", End.WORKER),
        (505, "HTTP version not supported", End.WORKER),
        (429, "too many requests", End.OVERLOADED),
        (408, "", End.OVERLOADED),
        (425, "", End.OVERLOADED),
        (403, "forbidden", End.SETUP),
        (413, "", End.REJECTED),
        (422, "a field is missing", End.REJECTED),
        (302, "", End.SETUP),
        (204, "", End.SETUP),
    ],
)
def test_refusal_is_blamed_on_whom_it_concerns(status: int, message: str, end: End) -> None:
    assert judge(status, said(message)).end is end


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
    assert verdict == Verdict(End.REJECTED, message)
    assert status_for_client(500, verdict.end) == 400


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
    assert verdict == Verdict(End.UNREADABLE, message)
    assert status_for_client(500, verdict.end) == 502


@pytest.mark.parametrize("status", [400, 500])
def test_prompt_that_is_too_long_for_this_server_may_suit_another(status: int) -> None:
    """The words and fields of b11549; older builds said 500."""
    message = (
        "request (9619 tokens) exceeds the available context size (4096 tokens), try increasing it"
    )
    body = said(message, type="exceed_context_size_error", n_prompt_tokens=9619, n_ctx=4096)
    assert judge(status, body) == Verdict(End.TOO_LONG, message)


def test_error_of_a_loading_server_stays_one_of_loading() -> None:
    assert judge(503, said("x", type="exceed_context_size_error")).end is End.LOADING


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
