"""What the client of a stream of chunks has seen of one choice, kept to go on elsewhere. Pure."""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

from api.growing_text import Text
from api.sse import data_of, split
from dispatcher.joined_text import joined

Json = dict[str, Any]

NAMES = ("created", "id", "model", "system_fingerprint")
"""What is the same in all chunks of an answer."""

_FOLD_BYTES = 32 * 1024


@dataclass(slots=True)
class Seen:
    """What says how an answer can go on, beside its text.

    `tokens` are those that the text stands for. They do not include what the server held back at
    its end, because it might become a stop string or was half a character. Where something
    `is_strange` there may have been more than could be read.
    """

    names: Json = field(default_factory=dict)
    tokens: int = 0
    has_usage: bool = False
    is_strange: bool = False
    finish_reason: str | None = None


S = TypeVar("S", bound=Seen)


class Reader(ABC, Generic[S]):
    """Reads what was seen into `read`, and its text into `texts`, by the names that `TEXT` finds.

    `TEXT` matches a chunk that holds nothing but text. Its groups are the name of the text, and the
    text as a JSON string without its quotes.
    """

    TEXT: ClassVar[re.Pattern[bytes]]

    def __init__(self, read: S, texts: Mapping[bytes, Text]) -> None:
        self._read = read
        self._texts = texts

    @property
    @abstractmethod
    def seen(self) -> S:
        """All that was read."""

    @abstractmethod
    def _add_choice(self, choice: Json) -> bool:
        """Reads what one choice of a chunk says; whether it says more of the answer."""

    def take(self, events: bytes, tokens: int) -> None:
        """Reads more; see `Memory.add`."""
        for event in split(joined(events)):
            text = self.TEXT.match(event)
            if text is not None and self._read.names:
                self._texts[text[1]].unread.append(text[2])
                self._read.tokens = max(self._read.tokens, tokens)
            else:
                self._parse(data_of(event), tokens)

    def tidy(self) -> None:
        """Takes less room."""
        for text in self._texts.values():
            text.read()

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
            says_more = self._add_choice(choice)
            read.finish_reason = choice["finish_reason"] or read.finish_reason
            if says_more or read.finish_reason:
                read.tokens = max(read.tokens, tokens)


class Memory(ABC, Generic[S]):
    """Keeps what a client has seen.

    It keeps the bytes, since nearly all answers end well and nobody asks. It reads them when
    somebody does, and now and then, so that they stay few.
    """

    def __init__(self) -> None:
        self._events: list[tuple[bytes, int]] = []
        self._bytes = 0
        self._reader: Reader[S] | None = None

    @abstractmethod
    def _new_reader(self) -> Reader[S]:
        """One that has read nothing."""

    def add(self, events: bytes, tokens: int) -> None:
        """Takes whole events, sent when the server had generated these tokens."""
        self._events.append((events, tokens))
        self._bytes += len(events)
        if self._bytes > _FOLD_BYTES:
            self._fold()

    @property
    def seen(self) -> S:
        """All of it."""
        return self._fold().seen

    def _fold(self) -> Reader[S]:
        self._reader = reader = self._reader or self._new_reader()
        for events, tokens in self._events:
            reader.take(events, tokens)
        reader.tidy()
        self._events, self._bytes = [], 0
        return reader
