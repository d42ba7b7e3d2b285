"""The bytes of server-sent events (HTML Living Standard §9.2) as llama-server writes them. Pure."""

import json

DONE = b"data: [DONE]\n\n"


def comment(text: str) -> bytes:
    """An SSE comment, which clients skip; keeps a quiet connection alive."""
    return f": {' '.join(text.split())}\n\n".encode()


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
