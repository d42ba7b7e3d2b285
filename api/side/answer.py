"""Passes on the answers to side requests. Pure."""

from api.bodies import value_of
from api.endpoint import Asked
from api.json_text import compact


class SideAssembly:
    """The whole answer (`api.endpoint.Assembly`), as the server has written it."""

    lost_tokens = 0

    def __init__(self, asked: Asked) -> None:
        self._parts: list[bytes] = []

    def add(self, choice: int, events: bytes) -> None:
        """See `Assembly`."""
        self._parts.append(events)

    def restart(self, choice: int) -> None:
        """See `Assembly`."""
        self._parts.clear()

    def body(self) -> bytes:
        """See `Assembly`."""
        return b"".join(self._parts)


class MessageCount(SideAssembly):
    """Of the tokens of a message, as Anthropic's clients read it."""

    def body(self) -> bytes:
        """See `Assembly`."""
        return compact({"input_tokens": value_of(super().body())["input_tokens"]})
