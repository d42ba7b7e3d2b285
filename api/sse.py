"""The bytes of server-sent events (HTML Living Standard §9.2) as llama-server writes them. Pure."""

import json

DONE = b"data: [DONE]\n\n"


def comment(text: str) -> bytes:
    """An SSE comment, which clients skip; keeps a quiet connection alive.

    The next event follows directly: some clients take a blank line for the end of an empty event.
    """
    return f": {' '.join(text.split())}\n".encode()


def without_comments(event: bytes) -> bytes:
    """The lines of an event that are no comments; empty where there are none."""
    if not event.startswith(b":") and b"\n:" not in event:
        return event
    return b"\n".join(line for line in event.split(b"\n") if not line.startswith(b":"))


def reindex(event: bytes, index: int, completion_id: str) -> bytes:
    """The chunk `event` (`data: {…}`) as the choice number `index` of the answer `completion_id`.

    `[DONE]` and comments come back as they are.
    """
    if not event.startswith(b"data: {"):
        return event
    chunk = json.loads(event.removeprefix(b"data: "))
    if "id" in chunk:
        chunk["id"] = completion_id
    for choice in chunk.get("choices", []):
        choice["index"] = index
    text = json.dumps(chunk, ensure_ascii=False, separators=(",", ":"))
    return b"data: " + text.encode() + b"\n\n"
