"""What endpoints share whose whole answer is made of a chat's. Pure."""

from collections.abc import Callable
from typing import Generic, TypeVar

from api.chat.completion import Completion

C = TypeVar("C", bound=Completion)


class RecastAssembly(Generic[C]):
    """Collects one chat's answer (`api.endpoint.Assembly`). What it becomes, subclasses say.

    `begin` makes a completion that is still empty.
    """

    def __init__(self, begin: Callable[[], C]) -> None:
        self._begin = begin
        self._completion = begin()

    def add(self, choice: int, events: bytes) -> None:
        """See `Assembly`."""
        self._completion.add(events)

    def restart(self, choice: int) -> None:
        """See `Assembly`."""
        self._completion = self._begin()

    @property
    def lost_tokens(self) -> int:
        """See `Assembly`."""
        return self._completion.lost_tokens
