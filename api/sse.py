"""Server-sent events (HTML Living Standard §9.2) as llama-server writes them. Pure.

The only place of the API that knows how an event looks in bytes.
"""

from typing import Any

from api.json_text import compact

HEADERS = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)
"""Of a response that is a stream of events."""

DATA = b"data: "
_END = b"\n\n"
_COLON = ord(":")


def event(data: bytes) -> bytes:
    """The event that carries this line of data."""
    return DATA + data + _END


DONE = event(b"[DONE]")


def json_event(value: Any) -> bytes:
    """The event that carries a JSON value, spelled as llama-server does."""
    return event(compact(value))


def named_event(name: str, data: bytes) -> bytes:
    """The same for clients that know events by a name of their own."""
    return b"event: %b\n%b%b%b" % (name.encode(), DATA, data, _END)


def comment(text: str) -> bytes:
    """An SSE comment, which clients skip; keeps a quiet connection alive.

    The next event follows directly: some clients take a blank line for the end of an empty event.
    """
    line = " ".join(text.split())
    return f": {''.join(c if c.isprintable() else '_' for c in line)}\n".encode()


def split(events: bytes) -> list[bytes]:
    """The events, each without its comments and without the blank line after it.

    >>> split(b": alive\\ndata: 1\\n\\n: alive\\n\\ndata: 2\\n\\n")
    [b'data: 1', b'data: 2']
    """
    lines = events.split(b"\n")  # much faster than by two characters
    if events.endswith(_END) and not any(lines[1::2]):
        found = lines[::2]
    else:  # an event has several lines
        found = [_without_comments(event) for event in events.split(_END)]
    return [event for event in found if event and event[0] != _COLON]


def whole_part(events: bytes) -> int:
    """How many of the bytes are whole events."""
    end = events.rfind(_END)
    return 0 if end < 0 else end + len(_END)


def data_of(event: bytes) -> bytes:
    """The data of one event that `split` has found; empty where it has none."""
    return event[len(DATA) :] if event.startswith(DATA) else b""


def _without_comments(event: bytes) -> bytes:
    return b"\n".join(line for line in event.split(b"\n") if not line.startswith(b":"))
