"""What the client of a stream has seen of one choice of a chat's answer. Pure."""

from dataclasses import dataclass, replace

from api import seen
from api.chat.text_chunk import TEXT
from api.growing_text import Text
from api.seen import Json


@dataclass(slots=True)
class Seen(seen.Seen):
    """The text so far, and what else says how the answer can go on."""

    content: str = ""
    reasoning: str = ""
    has_calls: bool = False


class Memory(seen.Memory[Seen]):
    """Keeps what a client has seen."""

    def _new_reader(self) -> "_Reader":
        return _Reader()


class _Reader(seen.Reader[Seen]):
    TEXT = TEXT

    def __init__(self) -> None:
        self._content = Text()
        self._reasoning = Text()
        texts = {b"content": self._content, b"reasoning_content": self._reasoning}
        super().__init__(Seen(), texts)

    @property
    def seen(self) -> Seen:
        """All that was read."""
        return replace(self._read, content=str(self._content), reasoning=str(self._reasoning))

    def _add_choice(self, choice: Json) -> bool:
        delta = choice["delta"]
        content, reasoning = delta.get("content") or "", delta.get("reasoning_content") or ""
        self._content.add(content)
        self._reasoning.add(reasoning)
        self._read.has_calls |= bool(delta.get("tool_calls"))
        return bool(content or reasoning)
