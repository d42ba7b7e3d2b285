"""Makes of a stream of chunks the answer that llama-server gives in one piece. Pure."""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from api.errors import from_llama_server
from api.failure import ended_early
from api.growing_text import Text
from api.json_text import compact, read
from api.sse import data_of, split, whole_part

Json = dict[str, Any]

_HEAD = ("created", "model", "system_fingerprint")


class GrowingChoice(ABC):
    """One choice, growing as its events arrive; they may be split anywhere.

    `TEXT` matches the beginning of a chunk that holds nothing but text, as far as it is its own.
    Its groups are the name of the text, and the text as a JSON string without its quotes. `NAMES`
    matches the rest of a chunk that tells only whose it is.
    """

    TEXT: ClassVar[re.Pattern[bytes]]
    NAMES: ClassVar[re.Pattern[bytes]]

    def __init__(self, texts: Mapping[bytes, Text]) -> None:
        self._texts = texts
        self._rest = b""
        self._last: Json = {}
        self._names = b""
        self._logprobs: list[Any] = []
        self._finish_reason: str | None = None
        self._usage: Json | None = None

    @abstractmethod
    def choice(self, index: int = 0) -> Json:
        """The finished choice; `WorkerFailed` if the stream ended before it was."""

    @abstractmethod
    def _take(self, choice: Json) -> None:
        """Takes what one choice of a chunk adds to the text."""

    @staticmethod
    def _says_nothing(event: bytes) -> bool:
        """Whether an event at the beginning needs no reading."""
        return False

    def add(self, events: bytes) -> None:
        """Take in some bytes of the stream; an error event in them is raised as `ApiError`."""
        events = self._rest + events
        end = whole_part(events)
        self._rest = events[end:]
        for event in split(events[:end]):
            text = self.TEXT.match(event)
            if text is not None:
                self._add_text(event, text)
            elif self._last or not self._says_nothing(event):
                self._add_data(event)
                self._names = b""

    @property
    def usage(self) -> Json | None:
        """Tokens of the prompt and of this choice, once the stream has told them."""
        return self._usage

    @property
    def lost_tokens(self) -> int:
        """See `Assembly`. It can be told only where nothing was said before them."""
        if self._finish_reason != "length" or self._has_said():
            return 0
        return int((self._usage or {}).get("completion_tokens", 0))

    @property
    def last_chunk(self) -> Json:
        """The newest chunk: names the answer, and holds its timings when the stream is done."""
        return self._last

    def _has_said(self) -> bool:
        """Whether there is anything of an answer."""
        return any(map(bool, self._texts.values()))

    def _finish(self) -> str:
        """Why it ended."""
        if not self._finish_reason:
            raise ended_early()
        return self._finish_reason

    def _add_text(self, event: bytes, text: re.Match[bytes]) -> None:
        names = event[text.end() :]
        if names == self._names or (not self._last and self.NAMES.fullmatch(names)):
            self._texts[text[1]].unread.append(text[2])  # it says nothing else that is new
        else:
            self._add_data(event)
        self._names = names

    def _add_data(self, event: bytes) -> None:
        data = data_of(event)
        if data and data != b"[DONE]":
            self._add_chunk(read(data))

    def _add_chunk(self, chunk: Json) -> None:
        if "error" in chunk:
            raise from_llama_server(500, json.dumps(chunk).encode())
        self._last = chunk
        self._usage = chunk.get("usage", self._usage)
        for choice in chunk["choices"]:
            self._finish_reason = choice["finish_reason"] or self._finish_reason
            self._take(choice)
            if choice.get("logprobs"):
                self._logprobs += choice["logprobs"]["content"]


C = TypeVar("C", bound=GrowingChoice)


class ChunkAssembly(Generic[C]):
    """The whole answer of several choices (`api.endpoint.Assembly`), which `merge` makes."""

    def __init__(
        self, new: Callable[[], C], choices: int, merge: Callable[[Sequence[C]], Json]
    ) -> None:
        self._new = new
        self._choices = [new() for _ in range(choices)]
        self._merge = merge

    def add(self, choice: int, events: bytes) -> None:
        """See `Assembly`."""
        self._choices[choice].add(events)

    def restart(self, choice: int) -> None:
        """See `Assembly`."""
        self._choices[choice] = self._new()

    def body(self) -> bytes:
        """See `Assembly`."""
        return compact(self._merge(self._choices))

    @property
    def lost_tokens(self) -> int:
        """See `Assembly`."""
        return sum([choice.lost_tokens for choice in self._choices])


def whole_answer(choices: Sequence[GrowingChoice], object_: str, usage: Json | None) -> Json:
    """One answer of this type, under the name and timings of its first choice."""
    last = choices[0].last_chunk
    answer: Json = {
        "choices": [choice.choice(index) for index, choice in enumerate(choices)],
        **{name: last[name] for name in _HEAD if name in last},
        "object": object_,
    }
    if usage:
        answer["usage"] = usage
    answer["id"] = last.get("id", "")
    if "timings" in last:
        answer["timings"] = last["timings"]
    return answer
