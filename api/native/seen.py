"""What the client of a stream of llama.cpp's own events has seen, kept to go on elsewhere. Pure."""

import re
from dataclasses import dataclass, replace

from api.growing_text import Text
from api.seen import Json, Memory, Reader, Seen
from api.sse import data_of, split
from dispatcher.joined_text import STRING


@dataclass(slots=True)
class NativeSeen(Seen):
    """The text so far. Its `names` tell how many tokens the prompt has.

    `told` are the tokens that the client was told of, with those whose text was held back.
    """

    content: str = ""
    told: int = 0


class _Reader(Reader[NativeSeen]):
    # Nearly all events are so. The second group counts the tokens.
    TEXT = re.compile(
        rb'data: \{"index":0,"content":"(%b)","tokens":\[[\d,]*\],"stop":false,'
        rb'"id_slot":-?\d+,"tokens_predicted":(\d+),' % STRING.pattern
    )

    def __init__(self) -> None:
        self._content = Text()
        super().__init__(NativeSeen(), {b"content": self._content})

    @property
    def seen(self) -> NativeSeen:
        """See `Reader`."""
        return replace(self._read, content=str(self._content))

    def take(self, events: bytes, tokens: int) -> None:
        """See `Reader`. Each event counts its tokens itself."""
        for event in split(events):
            text = self.TEXT.match(event)
            if text is not None and self._read.names:
                self._content.unread.append(text[1])
                self._note(bool(text[1]), int(text[2]))
            else:
                self._parse(data_of(event), tokens)

    def _note(self, says_more: bool, tokens: int) -> None:
        self._read.told = max(self._read.told, tokens)
        if says_more:
            self._read.tokens = tokens

    def _add_choice(self, choice: Json) -> bool:
        self._content.add(choice["content"])
        return bool(choice["content"])

    def _add(self, chunk: Json, tokens: int) -> None:
        read = self._read
        read.names = read.names or {"tokens_evaluated": chunk["tokens_evaluated"]}
        if chunk["stop"]:
            read.finish_reason = "stop"
        else:
            self._note(self._add_choice(chunk), chunk["tokens_predicted"])


class NativeMemory(Memory[NativeSeen]):
    """Keeps what a client has seen."""

    def _new_reader(self) -> Reader[NativeSeen]:
        return _Reader()
