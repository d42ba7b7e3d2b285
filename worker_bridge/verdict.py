"""What a refusal of llama-server means: whose fault it is, and what becomes of the job. Pure."""

import json
import re
from dataclasses import dataclass
from typing import Any

from worker_bridge.ends import CONSEQUENCES, End, Result, failure

# HTTP 500 also stands for requests that can't be served anywhere. Their messages begin like this.
_BAD_REQUEST = (
    "Failed to parse",
    "image input is not supported",
    "audio input is not supported",
    "video input is not supported",
    "Failed to load image or audio file",
    "tools param requires --jinja",
    "input (",
    "Unable to generate parser",
    "Conversation roles must",
    "the current context does not support logits",  # a chat with a model of embeddings
)
# Or for a chat template that raised. Builds before 2026 say where by row and column.
_TEMPLATE = re.compile(
    r"^\n-+\nWhile executing |^\nError executing \w+ at |Jinja Exception: | at row \d+, column \d+:"
)
# Or for an answer that llama-server could not read as text, reasoning and tool calls.
_UNREADABLE = (
    "The model produced output that does not match",
    "Failed to parse input at pos",
    "Invalid diff:",
    "Tool call mismatch:",
)
# Or for a server that is broken. Whose fault any other message is, only a second try tells.
BROKEN = (
    "Context size has been exceeded",  # of all slots together
    "Compute error",
    "Invalid input batch",
    "decode() failed",
    "pre_decode() failed",
    "post_decode() failed",
    "failed to process speculative batch",
    "context shift is disabled",
    "proxy error",
)
_NOT_READ = (
    "The model's answer can't be read: {}. Please send the request again, or with other tools."
)
_TOO_LONG = "exceed_context_size_error"
_OF_REQUEST = (400, 413, 415, 422, 501)
_OVERLOADED = (408, 425, 429)  # of a proxy before the server, which itself sends none of them


@dataclass(frozen=True, slots=True)
class Verdict:
    """How an attempt ends that the server refuses, and what the server said."""

    end: End
    message: str


def judge(status: int, body: bytes) -> Verdict:
    """Sorts an HTTP error of the server.

    >>> judge(400, b'{"error":{"message":"bad grammar"}}')
    Verdict(end=<End.REJECTED: 2>, message='bad grammar')
    """
    error = _error(body)
    message = error["message"]
    end = _end_of_500(message) if status == 500 else _end_of(status)
    if status in (400, 500) and error.get("type") == _TOO_LONG:
        end = End.TOO_LONG
    if end is End.SETUP or (end is End.OVERLOADED and not message):
        message = f"llama-server answered {status} {message}".rstrip()
    return Verdict(end, message)


def status_for_client(status: int, end: End) -> int:
    """The status under which a client gets a refusal of the server.

    >>> status_for_client(500, End.REJECTED), status_for_client(501, End.REJECTED)
    (400, 501)
    """
    if end is End.UNREADABLE:
        return 502
    return 400 if status == 500 and end in (End.REJECTED, End.TOO_LONG) else status


def refused(status: int, body: bytes) -> Result:
    """How an attempt ended that the server refused."""
    verdict = judge(status, body)
    end = verdict.end
    if end is End.UNREADABLE:
        body = json.dumps({"error": {"message": _NOT_READ.format(verdict.message)}}).encode()
    told: dict[str, int | str] = {"status": status_for_client(status, end)}
    refusal = json.dumps(told | {"body": body.decode(errors="replace")}).encode()
    if CONSEQUENCES[end].answer is not None:
        return Result(end, refusal)
    error = failure(f"The worker failed: {verdict.message}")
    return Result(end, error, refusal if end is End.UNSURE else b"")


def _end_of(status: int) -> End:
    if status in _OF_REQUEST:
        return End.REJECTED
    if status in _OVERLOADED:
        return End.OVERLOADED
    if status == 503:
        return End.LOADING
    return End.WORKER if status > 500 else End.SETUP


def _end_of_500(message: str) -> End:
    if message.startswith(_UNREADABLE):
        return End.UNREADABLE
    if message.startswith(_BAD_REQUEST) or _TEMPLATE.search(message):
        return End.REJECTED
    return End.WORKER if message.startswith(BROKEN) else End.UNSURE


def _error(body: bytes) -> dict[str, Any]:
    """The error object, which has at least a message."""
    try:
        error = json.loads(body)["error"]
        return {**error, "message": str(error["message"])}
    except (ValueError, KeyError, TypeError):
        return {"message": body[:200].decode(errors="replace")}
