"""What a refusal of llama-server means: whose fault it is, and what becomes of the job. Pure."""

import json
import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

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
_BROKEN = (
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
_TOO_LONG = "exceed_context_size_error"
_OF_REQUEST = (400, 413, 415, 422, 501)
_OVERLOADED = (408, 425, 429)  # of a proxy in front of the server; it has none of them itself


class Fault(Enum):
    """Who has to do with a failure."""

    REQUEST = auto()  # the client gets the server's own words
    MODEL = auto()  # its answer can't be read; the client is told
    CONTEXT = auto()  # the prompt is too long for this server; one with more context may take it
    WORKER = auto()  # another worker may do better; costs the job an attempt
    UNSURE = auto()  # as WORKER, but where that says the same it was the request's
    OVERLOADED = auto()  # as WORKER; the server is left alone for a moment
    LOADING = auto()  # the server is not ready; costs nothing
    SETUP = auto()  # the server is not what this bridge was told; a job meets it a few times


@dataclass(frozen=True, slots=True)
class Verdict:
    """A fault, and what the server said."""

    fault: Fault
    message: str


def judge(status: int, body: bytes) -> Verdict:
    """Sorts an HTTP error of the server.

    >>> judge(400, b'{"error":{"message":"bad grammar"}}')
    Verdict(fault=<Fault.REQUEST: 1>, message='bad grammar')
    """
    error = _error(body)
    message = error["message"]
    fault = _fault_of_500(message) if status == 500 else _fault_of(status)
    if status in (400, 500) and error.get("type") == _TOO_LONG:
        fault = Fault.CONTEXT
    if fault is Fault.SETUP or (fault is Fault.OVERLOADED and not message):
        message = f"llama-server answered {status} {message}".rstrip()
    return Verdict(fault, message)


def status_for_client(status: int, fault: Fault) -> int:
    """The status under which a client gets a refusal of the server.

    >>> status_for_client(500, Fault.REQUEST), status_for_client(501, Fault.REQUEST)
    (400, 501)
    """
    if fault is Fault.MODEL:
        return 502
    return 400 if status == 500 and fault in (Fault.REQUEST, Fault.CONTEXT) else status


def _fault_of(status: int) -> Fault:
    if status in _OF_REQUEST:
        return Fault.REQUEST
    if status in _OVERLOADED:
        return Fault.OVERLOADED
    if status == 503:
        return Fault.LOADING
    return Fault.WORKER if status > 500 else Fault.SETUP


def _fault_of_500(message: str) -> Fault:
    if message.startswith(_UNREADABLE):
        return Fault.MODEL
    if message.startswith(_BAD_REQUEST) or _TEMPLATE.search(message):
        return Fault.REQUEST
    return Fault.WORKER if message.startswith(_BROKEN) else Fault.UNSURE


def _error(body: bytes) -> dict[str, Any]:
    """The error object, which has at least a message."""
    try:
        error = json.loads(body)["error"]
        return {**error, "message": str(error["message"])}
    except (ValueError, KeyError, TypeError):
        return {"message": body[:200].decode(errors="replace")}
