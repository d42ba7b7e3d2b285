"""The memory for large answers in one piece, while they are put together and sent."""

import asyncio
from collections import Counter

from api.endpoint import Items
from api.errors import ApiError
from api.refusal import overloaded
from api.turns import Gate

_SMALL_BYTES = 2**20
_RETRY_S = 30.0


class AnswerRoom:
    """Room for `most_bytes` of answers. Tenants take turns.

    A request gets its room before its jobs are queued, so an accepted job never waits for memory.
    Earlier answers tell how large an answer will be. If that is more than all the room, the answer
    waits until it is alone. An answer of more than `most_of_one_bytes` fails.
    """

    def __init__(self, most_bytes: int, most_of_one_bytes: int) -> None:
        self.most_of_one_bytes = most_of_one_bytes
        self.held_bytes = 0
        self._most_bytes = most_bytes
        self._gate = Gate()
        self._freed: asyncio.Future[None] | None = None
        self._item_bytes: dict[str, float] = {}

    async def take(self, tenant: str, items: Items, wait_s: float) -> "HeldAnswer":
        """Returns when there is room for such an answer; at once for a small one.

        Raises `ApiError` 503 where that takes longer than `wait_s`.
        """
        size = int(items.number * self._item_bytes.get(items.kind, items.guess_bytes))
        if size > _SMALL_BYTES:
            try:
                async with asyncio.timeout(wait_s):
                    await self._wait(tenant, size)
            except TimeoutError as error:
                raise overloaded(_RETRY_S) from error
        return HeldAnswer(self, items, size)

    def add(self, size_bytes: int) -> None:
        """This much more is held; less, if it is negative."""
        self.held_bytes += size_bytes
        if size_bytes < 0 and self._freed is not None and not self._freed.done():
            self._freed.set_result(None)

    def learn(self, items: Items, size_bytes: int) -> None:
        """An answer had this size. A larger size is believed at once, a smaller one by halves."""
        seen, known = size_bytes / items.number, self._item_bytes.get(items.kind, 0)
        self._item_bytes[items.kind] = max(seen, (seen + known) / 2)

    async def _wait(self, tenant: str, size: int) -> None:
        async with self._gate.alone(tenant):
            while self.held_bytes and self.held_bytes + size > self._most_bytes:
                self._freed = asyncio.get_running_loop().create_future()
                await self._freed


class HeldAnswer:
    """The part of the room that one answer holds: its expected size, or its real size if that is
    larger. It is given back in any case.
    """

    def __init__(self, room: AnswerRoom, items: Items, expected_bytes: int) -> None:
        self._room = room
        self._items = items
        self._held_bytes = expected_bytes
        self._came = Counter[int]()
        room.add(expected_bytes)

    def grow(self, choice: int, size_bytes: int) -> None:
        """More of a choice has come. Raises `ApiError` 413 where the answer is too large."""
        self._came[choice] += size_bytes
        more = self._came.total() - self._held_bytes
        if more > 0:
            self._held_bytes += more
            self._room.add(more)
            if self._held_bytes > self._room.most_of_one_bytes:
                raise _too_large(self._room.most_of_one_bytes)

    def restart(self, choice: int) -> None:
        """A choice begins again."""
        del self._came[choice]

    def learn(self, size_bytes: int) -> None:
        """The answer is whole, and has this size."""
        self._room.learn(self._items, size_bytes)

    def give_back(self) -> None:
        """The answer is sent, or nobody wants it."""
        self._room.add(-self._held_bytes)
        self._held_bytes = 0


def _too_large(most_bytes: int) -> ApiError:
    return ApiError(
        413,
        f"The answer takes more than {most_bytes} bytes: ask for less in one request.",
        type="invalid_request_error",
        code="answer_too_large",
    )
