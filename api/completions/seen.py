"""What the client of a stream has seen of one text completion. Pure."""

from dataclasses import dataclass, replace

from api import seen
from api.completions.text_chunk import TEXT
from api.growing_text import Text
from api.seen import Json


@dataclass(slots=True)
class Seen(seen.Seen):
    """The text so far, and what else says how the answer can go on."""

    text: str = ""


class Memory(seen.Memory[Seen]):
    """Keeps what a client has seen."""

    def _new_reader(self) -> "_Reader":
        return _Reader()


class _Reader(seen.Reader[Seen]):
    TEXT = TEXT

    def __init__(self) -> None:
        self._text = Text()
        super().__init__(Seen(), {b"text": self._text})

    @property
    def seen(self) -> Seen:
        """All that was read."""
        return replace(self._read, text=str(self._text))

    def _add_choice(self, choice: Json) -> bool:
        self._text.add(choice["text"])
        return bool(choice["text"])
