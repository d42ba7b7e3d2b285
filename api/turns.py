"""Turns at a thing that many wait for: tenant by tenant, the oldest of each first."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager


class Turns:
    """Those who wait. `len` is their number."""

    def __init__(self) -> None:
        self._of: dict[str, deque[asyncio.Future[None]]] = {}
        self._length = 0

    def __len__(self) -> int:
        return self._length

    async def wait(self, tenant: str, hand_on: Callable[[], None]) -> None:
        """Returns when it is called. `hand_on` is called if it is cancelled after that."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._of.setdefault(tenant, deque()).append(turn)
        self._length += 1
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                hand_on()
            raise

    def call_next(self) -> bool:
        """Calls the next one; False if that one has gone meanwhile. There must be one."""
        tenant, turns = next(iter(self._of.items()))
        turn = turns.popleft()
        self._length -= 1
        del self._of[tenant]
        if turns:
            self._of[tenant] = turns  # after the others
        if turn.done():
            return False
        turn.set_result(None)
        return True


class Gate:
    """Lets in one at a time."""

    def __init__(self) -> None:
        self._waiting = Turns()
        self._is_taken = False

    @asynccontextmanager
    async def alone(self, tenant: str) -> AsyncIterator[None]:
        """Enters when nobody else is in."""
        if self._is_taken:
            await self._waiting.wait(tenant, self._leave)
        self._is_taken = True
        try:
            yield
        finally:
            self._leave()

    def _leave(self) -> None:
        """Lets the next one in, if any waits."""
        self._is_taken = False
        while self._waiting and not self._is_taken:
            self._is_taken = self._waiting.call_next()
