"""What the client of a stream of llama.cpp's own events has seen, kept to go on elsewhere. Pure."""

import re
from dataclasses import dataclass, replace

from api.growing_text import Text
from api.seen import Json, Memory, Reader, Seen


@dataclass(slots=True)
class NativeSeen(Seen):
    """The text so far. Its `names` tell how many tokens the prompt has.

    `told` are the tokens that the client was told of, with those whose text was held back.
    """

    content: str = ""
    told: int = 0


class _Reader(Reader[NativeSeen]):
    TEXT = re.compile(rb"(?!)")  # each event is parsed: they are half as long as chunks

    def __init__(self) -> None:
        self._content = Text()
        super().__init__(NativeSeen(), {b"content": self._content})

    @property
    def seen(self) -> NativeSeen:
        """See `Reader`."""
        return replace(self._read, content=str(self._content))

    def _add_choice(self, choice: Json) -> bool:
        self._content.add(choice["content"])
        return bool(choice["content"])

    def _add(self, chunk: Json, tokens: int) -> None:
        read = self._read
        read.names = read.names or {"tokens_evaluated": chunk["tokens_evaluated"]}
        read.told = max(read.told, chunk["tokens_predicted"])
        if chunk["stop"]:
            read.finish_reason = "stop"
        elif self._add_choice(chunk):
            read.tokens = chunk["tokens_predicted"]


class NativeMemory(Memory[NativeSeen]):
    """Keeps what a client has seen."""

    def _new_reader(self) -> Reader[NativeSeen]:
        return _Reader()
