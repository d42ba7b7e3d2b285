"""The line of requests before the work that each of them costs: to read it, and to enqueue it."""

import asyncio
import time
from collections.abc import Callable

from api.admission import ALWAYS_OPEN, LONG_WAIT_S, SHORT_WAIT_S, Holdings, Pace, is_too_much
from api.refusal import overloaded, too_many_of_a_tenant
from api.turns import Turns

_PER_TICK = 8  # turns between two looks of the event loop at all else
_UNDER_WAY = 512  # requests that have had their turn, and that Redis has not taken yet


class Line:
    """Requests wait in it for their turn. Meanwhile the event loop looks at answers and refusals.

    Tenants take turns, whatever each of them has in line. `processes` of the API share the work.
    A tenant has `most_of_tenant` open requests at most in this process, 0 for any number.
    """

    def __init__(
        self,
        processes: int = 1,
        clock: Callable[[], float] = time.monotonic,
        most_of_tenant: int = 0,
    ) -> None:
        self._always_open = -(-ALWAYS_OPEN // processes)
        self._most_of_tenant = most_of_tenant
        self._clock = clock
        self._pace = Pace()
        self._open = Holdings()
        self._waiting = Turns()
        self._under_way = 0
        self._granted = 0  # since the last tick
        self._ticked_at: float | None = None  # None where nobody had to wait then
        self._tick_is_due = False
        self.long_since: float | None = None
        """When it became too long; None once it is short again."""

    @property
    def expected_wait_s(self) -> float:
        """How long a request that comes now would stand in line."""
        return len(self._waiting) * self._pace.turn_s

    def counts(self) -> tuple[int, int, int]:
        """How many requests are open, stand in line, and have their turn."""
        return self._open.total, len(self._waiting), self._under_way

    def is_closed_to(self, tenant: str) -> bool:
        """Whether a new request of this tenant is refused."""
        standing_s = 0.0 if self.long_since is None else self._clock() - self.long_since
        wait_s = self.expected_wait_s
        return is_too_much(self._open, tenant, wait_s, standing_s, self._always_open)

    def enter(self, tenant: str) -> None:
        """A request has come, which is open until `leave`. Raises `ApiError` 429 or 503."""
        most = self._most_of_tenant
        if most and self._open.of(tenant) >= most:
            raise too_many_of_a_tenant(most)
        wait_s = self.expected_wait_s
        if wait_s <= SHORT_WAIT_S:
            self.long_since = None
        elif wait_s > LONG_WAIT_S:
            if self.long_since is None:
                self.long_since = self._clock()
            if self.is_closed_to(tenant):
                raise overloaded(wait_s)
        self._open.add(tenant)

    def leave(self, tenant: str) -> None:
        """The request is over."""
        self._open.remove(tenant)

    async def turn(self, tenant: str) -> bool:
        """Returns when it is its turn, which lasts until `done`; and whether it had to wait."""
        self._have_tick()
        if self._waiting or not self._has_room():
            await self._waiting.wait(tenant, self.done)
            return True
        self._grant()
        return False

    def done(self) -> None:
        """The request is in the queue, or has failed."""
        self._under_way -= 1
        if self._waiting:
            self._have_tick()

    def _has_room(self) -> bool:
        return self._granted < _PER_TICK and self._under_way < _UNDER_WAY

    def _grant(self) -> None:
        self._granted += 1
        self._under_way += 1

    def _have_tick(self) -> None:
        if not self._tick_is_due:
            self._tick_is_due = True
            asyncio.get_running_loop().call_soon(self._tick)

    def _tick(self) -> None:
        """The event loop has looked at all else."""
        now = self._clock()
        self._tick_is_due = False
        if self._ticked_at is not None:
            self._pace.note(self._granted, now - self._ticked_at)
        self._granted = 0
        while self._waiting and self._has_room():
            if self._waiting.call_next():
                self._grant()
        self._ticked_at = now if self._waiting else None
        if self._granted:
            self._have_tick()
