"""What the client of a stream has seen of one choice: enough to go on with it elsewhere. Pure."""

import json
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

NAMES = ("created", "id", "model", "system_fingerprint")
"""What is the same in all chunks of an answer."""

_FOLD_BYTES = 32 * 1024


@dataclass(slots=True)
class Seen:
    """The text so far, and what else says how the answer can go on.

    `tokens` are those that the text stands for: what the server held back at its end, because it
    might become a stop string or was half a character, is not among them.
    """

    names: Json = field(default_factory=dict)
    content: str = ""
    reasoning: str = ""
    tokens: int = 0
    has_calls: bool = False
    finish_reason: str | None = None

    def add(self, chunk: Json, tokens: int) -> None:
        """Takes a chunk that was sent when the server had generated so many tokens."""
        self.names = self.names or {name: chunk[name] for name in NAMES if name in chunk}
        for choice in chunk.get("choices", ()):
            delta = choice["delta"]
            content, reasoning = delta.get("content") or "", delta.get("reasoning_content") or ""
            self.content += content
            self.reasoning += reasoning
            self.has_calls |= bool(delta.get("tool_calls"))
            self.finish_reason = choice["finish_reason"] or self.finish_reason
            if content or reasoning or self.finish_reason:
                self.tokens = max(self.tokens, tokens)


class Memory:
    """Keeps what a client has seen.

    As the bytes that it was, for nearly all answers end well and nobody asks; they are read when
    somebody does, and now and then, so that they stay few.
    """

    def __init__(self) -> None:
        self._seen = Seen()
        self._events: list[tuple[bytes, int]] = []
        self._bytes = 0

    def add(self, events: bytes, tokens: int) -> None:
        """Takes whole events, sent when the server had generated so many tokens."""
        self._events.append((events, tokens))
        self._bytes += len(events)
        if self._bytes > _FOLD_BYTES:
            self._fold()

    @property
    def seen(self) -> Seen:
        """All of it."""
        self._fold()
        return self._seen

    def _fold(self) -> None:
        for events, tokens in self._events:
            for event in events.split(b"\n\n"):
                if event.startswith(b"data: {"):
                    self._seen.add(json.loads(event[6:]), tokens)
        self._events, self._bytes = [], 0
