"""What a refusal of llama-server means: whose fault it is, and what becomes of the job. Pure."""

import json
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

# HTTP 500 also stands for requests that can't be served anywhere. Their messages begin like this.
_BAD_REQUEST = (
    "Failed to parse",
    "image input is not supported",
    "audio input is not supported",
    "tools param requires --jinja",
    "input (",
    "Unable to generate parser",
    "Conversation roles must",
)
# Or for a server that is broken. Whose fault any other message is, only a second try tells.
_BROKEN = (
    "Context size has been exceeded",  # of all slots together
    "Compute error",
    "Invalid input batch",
    "decode() failed",
    "pre_decode() failed",
    "post_decode() failed",
    "failed to process",
    "context shift is disabled",
    "proxy error",
)
_TOO_LONG = "exceed_context_size_error"
_GATEWAY = (502, 504)  # a proxy in front of the server, when that is gone


class Fault(Enum):
    """Who has to do with a failure."""

    REQUEST = auto()  # the client gets the server's own words
    CONTEXT = auto()  # the prompt is too long for this server; one with more context may take it
    WORKER = auto()  # another worker may do better; costs the job an attempt
    UNSURE = auto()  # as WORKER, but where that says the same it was the request's
    LOADING = auto()  # the server is not ready; costs nothing
    SETUP = auto()  # the server is not what this bridge was told; costs the job nothing


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
    if status in (401, 404):
        return Verdict(Fault.SETUP, message or f"llama-server answered {status}")
    if status == 503:
        return Verdict(Fault.LOADING, message)
    if status in (400, 500) and error.get("type") == _TOO_LONG:
        return Verdict(Fault.CONTEXT, message)
    if (status == 500 and message.startswith(_BROKEN)) or status in _GATEWAY:
        return Verdict(Fault.WORKER, message)
    if status == 500 and not message.startswith(_BAD_REQUEST):
        return Verdict(Fault.UNSURE, message)
    if 400 <= status < 600:
        return Verdict(Fault.REQUEST, message)
    return Verdict(Fault.SETUP, f"llama-server answered {status}")


def _error(body: bytes) -> dict[str, Any]:
    """The error object, which has at least a message."""
    try:
        error = json.loads(body)["error"]
        return {**error, "message": str(error["message"])}
    except (ValueError, KeyError, TypeError):
        return {"message": body[:200].decode(errors="replace")}
