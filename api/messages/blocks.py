"""The content blocks of a streamed message: each ends before the next one begins. Pure."""

from collections.abc import Mapping
from typing import Any

from api.json_text import compact
from api.messages.event import typed_event

_STARTS: Mapping[bytes, Mapping[str, str]] = {
    b"reasoning_content": {"type": "thinking", "thinking": "", "signature": ""},
    b"content": {"type": "text", "text": ""},
}
_DELTAS = {b"reasoning_content": ("thinking_delta", "thinking"), b"content": ("text_delta", "text")}
_MARK = "{text}"


class Blocks:
    """Says what a chat adds to its answer as deltas of blocks."""

    def __init__(self) -> None:
        self._count = 0
        self._open: bytes | int | None = None  # the name of a text, or the number of a call
        self._before = self._behind = b""
        self._calls: dict[int, int] = {}

    @property
    def have_begun(self) -> bool:
        """Whether there is one."""
        return self._count > 0

    def text(self, name: bytes, text: bytes) -> bytes:
        """More of the chat's field `name`, as a JSON string without its quotes."""
        if name == self._open:
            return b"%b%b%b" % (self._before, text, self._behind)
        begun = self._begin(name, _STARTS[name])
        kind, key = _DELTAS[name]
        delta = self._delta(self._count - 1, {"type": kind, key: _MARK})
        self._before, _, self._behind = delta.partition(_MARK.encode())
        return begun + self.text(name, text)

    def call(self, number: int, id_: str, name: str, arguments: str) -> bytes:
        """More of the call with this number; its first part has its name."""
        begun = b""
        if number not in self._calls:
            begun = self._begin(number, {"type": "tool_use", "id": id_, "name": name, "input": {}})
            self._calls[number] = self._count - 1
        if not arguments:
            return begun
        delta = {"type": "input_json_delta", "partial_json": arguments}
        return begun + self._delta(self._calls[number], delta)

    def close(self) -> bytes:
        """Ends the block that is open. Thinking gets an empty signature: nobody can sign it."""
        closed, index = self._open, self._count - 1
        if closed is None:
            return b""
        self._open = None
        signed = b""
        if closed == b"reasoning_content":
            signed = self._delta(index, {"type": "signature_delta", "signature": ""})
        return signed + typed_event("content_block_stop", index=index)

    def _begin(self, name: bytes | int, block: Mapping[str, Any]) -> bytes:
        ended = self.close()
        self._open, index = name, self._count
        self._count += 1
        return ended + typed_event("content_block_start", index=index, content_block=block)

    def _delta(self, index: int, delta: Mapping[str, Any]) -> bytes:
        return typed_event("content_block_delta", index=index, delta=delta)


def quoted(text: str) -> bytes:
    """A text as `Blocks.text` takes it."""
    return compact(text)[1:-1]
