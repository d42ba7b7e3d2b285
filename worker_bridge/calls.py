"""Waits until the bridge is called, and claims as many jobs as it should take."""

import asyncio
import logging
import math
import time
from collections.abc import Callable

from dispatcher.bells import Call, wait_for_call
from dispatcher.commands import NOT_RUNG, Offer
from dispatcher.connection import BLOCK_S, LinkedRedis
from dispatcher.errors import Fenced, RedisUnavailable
from dispatcher.keys import Keys
from dispatcher.worker import WorkerSession
from worker_bridge.attempts import Attempts
from worker_bridge.claim_policy import ClaimPolicy
from worker_bridge.stop import Stop

log = logging.getLogger("llamaq.calls")

_RETRY_S = 0.2
_SHORTEST_S = 0.005  # Redis before 7.0.8 takes less than 1 ms for for ever


class Calls:
    """The claims of one worker.

    `waiter` is a connection of their own. `fenced` is called when the registration has ended. It
    `is_claiming` while jobs may be on their way.
    """

    def __init__(
        self,
        waiter: LinkedRedis,
        keys: Keys,
        session: WorkerSession,
        attempts: Attempts,
        policy: ClaimPolicy,
        fenced: Callable[[], None],
    ) -> None:
        self.is_claiming = False
        self._waiter = waiter
        self._keys = keys
        self._session = session
        self._attempts = attempts
        self._policy = policy
        self._fenced = fenced
        self._has_room = self._has_side_room = True
        self._again_at = math.inf

    async def take(self) -> None:
        """Takes calls for ever."""
        while True:
            try:
                await self._take_one()
            except Fenced:
                self._fenced()
                await asyncio.sleep(_RETRY_S)
            except RedisUnavailable:
                await asyncio.sleep(_RETRY_S)

    async def _take_one(self) -> None:
        left_s = self._again_at - time.monotonic()
        call = Call()
        if left_s > 0:
            call = await wait_for_call(
                self._waiter,
                self._keys,
                self._session.worker,
                has_room=self._has_room,
                has_side_room=self._has_side_room,
                longest_s=min(max(left_s, _SHORTEST_S), BLOCK_S),
            )
        if call.cancel is not None:
            self._attempts.stop(call.cancel, Stop.CANCELLED)
        elif call.only_room:
            self._has_room = True
        elif call.only_side_room:
            self._has_side_room = True
        else:
            await self._claim(for_all=call.for_all)

    async def _claim(self, *, for_all: bool) -> None:
        """Claims what it is called for. A bell that all share, and that it does not listen to, has
        not rung.
        """
        slots, sides = self._policy.offer
        if for_all and not self._has_room:
            slots = NOT_RUNG
        if for_all and not self._has_side_room:
            sides = NOT_RUNG
        self.is_claiming = True
        try:
            taken = await self._session.claim(Offer(slots, sides), self._policy.patience)
        finally:
            self.is_claiming = False
        for claim in taken.claims:
            self._attempts.start(claim)
        self._has_room, self._has_side_room = taken.free > 0, taken.free_sides > 0
        self._again_at = math.inf if taken.again_s is None else time.monotonic() + taken.again_s
