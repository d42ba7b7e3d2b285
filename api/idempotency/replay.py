"""From an answer that was sent to one that is kept, and back. Pure."""

import re
from collections.abc import Sequence

from api.idempotency.recording import Headers
from dispatcher.kept_answers import KeptAnswer

EVENTS = "text/event-stream"
_KEPT = frozenset(
    {
        *("content-type", "cache-control", "x-accel-buffering", "x-llamaq-tier"),
        *("x-llamaq-worker", "x-llamaq-queue-ms", "x-llamaq-lost-tokens"),
    }
)
_ORIGINAL = "x-llamaq-original-request"
_COMMENT = re.compile(rb"^:[^\n]*\n", re.MULTILINE)


def to_keep(headers: Headers, parts: Sequence[bytes], request_id: str) -> KeptAnswer:
    """What is kept of an answer: events without comments, one JSON value without blanks before it.

    >>> to_keep([(b"content-type", b"text/event-stream")], [b": a\\ndata: 1\\n\\n"], "r").body
    b'data: 1\\n\\n'
    """
    head = {name.decode(): value.decode("latin-1") for name, value in headers}
    body = b"".join(parts)
    body = _COMMENT.sub(b"", body) if head.get("content-type") == EVENTS else body.lstrip(b" ")
    kept = {name: value for name, value in head.items() if name in _KEPT}
    return KeptAnswer({**kept, _ORIGINAL: request_id}, body)


def replayed_headers(answer: KeptAnswer) -> Headers:
    """The headers of a kept answer that is sent again."""
    said = {
        name: value
        for name, value in answer.head.items()
        if (name in _KEPT or name == _ORIGINAL) and value.isascii() and value.isprintable()
    }
    if said.get("content-type") != EVENTS:
        said["content-length"] = str(len(answer.body))
    return [(name.encode(), value.encode()) for name, value in said.items()]
