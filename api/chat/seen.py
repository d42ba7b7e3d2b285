"""What the client of a stream has seen of one choice: enough to go on with it elsewhere. Pure."""

import json
from dataclasses import dataclass, field, replace
from typing import Any

from api.chat.text_chunk import TEXT, Text
from api.sse import data_of, split
from dispatcher.joined_text import joined

Json = dict[str, Any]

NAMES = ("created", "id", "model", "system_fingerprint")
"""What is the same in all chunks of an answer."""

_FOLD_BYTES = 32 * 1024


@dataclass(slots=True)
class Seen:
    """The text so far, and what else says how the answer can go on.

    `tokens` are those that the text stands for: what the server held back at its end, because it
    might become a stop string or was half a character, is not among them. Where something
    `is_strange` there may have been more than could be read.
    """

    names: Json = field(default_factory=dict)
    content: str = ""
    reasoning: str = ""
    tokens: int = 0
    has_calls: bool = False
    has_usage: bool = False
    is_strange: bool = False
    finish_reason: str | None = None


class Memory:
    """Keeps what a client has seen.

    As the bytes that it was, for nearly all answers end well and nobody asks; they are read when
    somebody does, and now and then, so that they stay few.
    """

    def __init__(self) -> None:
        self._events: list[tuple[bytes, int]] = []
        self._bytes = 0
        self._reader: _Reader | None = None

    def add(self, events: bytes, tokens: int) -> None:
        """Takes whole events, sent when the server had generated so many tokens."""
        self._events.append((events, tokens))
        self._bytes += len(events)
        if self._bytes > _FOLD_BYTES:
            self._fold()

    @property
    def seen(self) -> Seen:
        """All of it."""
        return self._fold().seen

    def _fold(self) -> "_Reader":
        self._reader = reader = self._reader or _Reader()
        for events, tokens in self._events:
            reader.take(events, tokens)
        reader.tidy()
        self._events, self._bytes = [], 0
        return reader


class _Reader:
    """Reads what was seen."""

    def __init__(self) -> None:
        self._read = Seen()
        self._content = Text()
        self._reasoning = Text()
        self._texts = {b"content": self._content, b"reasoning_content": self._reasoning}

    @property
    def seen(self) -> Seen:
        """All that was read."""
        return replace(self._read, content=str(self._content), reasoning=str(self._reasoning))

    def take(self, events: bytes, tokens: int) -> None:
        """Reads more; see `Memory.add`."""
        for event in split(joined(events)):
            text = TEXT.match(event)
            if text is not None and self._read.names:
                self._texts[text[1]].unread.append(text[2])
                self._read.tokens = max(self._read.tokens, tokens)
            else:
                self._parse(data_of(event), tokens)

    def tidy(self) -> None:
        """Takes less room."""
        self._content.read()
        self._reasoning.read()

    def _parse(self, data: bytes, tokens: int) -> None:
        if not data.startswith(b"{"):
            return
        try:
            self._add(json.loads(data), tokens)
        except (ValueError, KeyError, TypeError, AttributeError):
            self._read.is_strange = True

    def _add(self, chunk: Json, tokens: int) -> None:
        read = self._read
        read.names = read.names or {name: chunk[name] for name in NAMES if name in chunk}
        read.has_usage |= "usage" in chunk
        for choice in chunk.get("choices", ()):
            delta = choice["delta"]
            content, reasoning = delta.get("content") or "", delta.get("reasoning_content") or ""
            self._content.add(content)
            self._reasoning.add(reasoning)
            read.has_calls |= bool(delta.get("tool_calls"))
            read.finish_reason = choice["finish_reason"] or read.finish_reason
            if content or reasoning or read.finish_reason:
                read.tokens = max(read.tokens, tokens)
