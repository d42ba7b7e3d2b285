"""A request from its headers to its end: its place in line, and the memory that it holds."""

import time
from collections.abc import Callable

from api.admission import Flow, Holdings, is_too_large
from api.answer_room import AnswerRoom, HeldAnswer
from api.endpoint import Items
from api.line import Line
from api.refusal import overloaded, too_much_of_a_tenant


class Room:
    """The memory for the bodies of all open requests."""

    def __init__(self, most_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most_bytes = most_bytes
        self._held = Holdings()
        self._clock = clock
        self._out = Flow(clock())

    @property
    def held_bytes(self) -> int:
        """How much is taken."""
        return self._held.total

    def take(self, tenant: str, size_bytes: int) -> None:
        """Takes memory. Raises `ApiError` where there is none: 429 if the tenant holds its share or
        more, else 503.
        """
        if is_too_large(self._held, tenant, size_bytes, self._most_bytes):
            wait_s = self._out.time_s(self._held.total, self._clock())
            is_own = self._held.has_its_share(tenant)
            raise too_much_of_a_tenant(wait_s) if is_own else overloaded(wait_s)
        if not self._held.total:
            self._out = Flow(self._clock())
        self._held.add(tenant, size_bytes)

    def give_back(self, tenant: str, size_bytes: int) -> None:
        """A tenant holds this much less."""
        self._held.remove(tenant, size_bytes)
        self._out.note(size_bytes, self._clock())


class Visit:
    """One request of a tenant. It always ends with `leave`.

    Raises `ApiError` 503 where the line is too long for it.
    """

    def __init__(self, line: Line, room: Room, tenant: str) -> None:
        self._line = line
        self._room = room
        self._tenant = tenant
        self._held_bytes = 0
        self._has_turn = False
        self._answer: HeldAnswer | None = None
        line.enter(tenant)

    def hold(self, size_bytes: int) -> None:
        """It holds this much now. Raises `ApiError` 429 or 503 where that is too much."""
        more = size_bytes - self._held_bytes
        if more > 0:
            self._room.take(self._tenant, more)
            self._held_bytes = size_bytes

    def hold_more(self, size_bytes: int) -> None:
        """It holds this much more. Raises `ApiError` 429 or 503 where that is too much."""
        self.hold(self._held_bytes + size_bytes)

    async def turn(self) -> bool:
        """Returns when it may do its work, until `work_is_done`; and whether it had to wait."""
        waited = await self._line.turn(self._tenant)
        self._has_turn = True
        return waited

    async def hold_answer(self, answers: AnswerRoom, items: Items, wait_s: float) -> HeldAnswer:
        """Returns when there is room for its answer, which it holds then. Its turn is over.

        Raises `ApiError` 503 where that takes longer than `wait_s`.
        """
        self.work_is_done()
        self._answer = await answers.take(self._tenant, items, wait_s)
        return self._answer

    def work_is_done(self) -> None:
        """Others may do theirs."""
        if self._has_turn:
            self._has_turn = False
            self._line.done()

    def leave(self) -> None:
        """The request is over."""
        self.work_is_done()
        if self._answer is not None:
            self._answer.give_back()
        if self._held_bytes:
            self._room.give_back(self._tenant, self._held_bytes)
        self._line.leave(self._tenant)
