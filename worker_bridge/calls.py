"""Waits until the bridge is called, and claims as many jobs as it should take."""

import asyncio
import logging
import math
import time
from collections.abc import Callable

from redis.asyncio import Redis

from dispatcher.connection import BLOCK_S
from dispatcher.errors import Fenced, RedisUnavailable
from dispatcher.keys import Keys
from dispatcher.patience import EAGER, patience
from dispatcher.worker import WorkerSession, wait_for_call
from worker_bridge.attempts import Attempts
from worker_bridge.stop import Stop

log = logging.getLogger("llamaq.calls")

_RETRY_S = 0.2
_SHORTEST_S = 0.005  # Redis before 7.0.8 takes less than 1 ms for for ever
_LOOK_EVERY_S = 1.0
_WORKERS_PER_S = 32


def look_again_s(workers: int) -> float:
    """After how many seconds a bridge reads the speeds of so many workers again.

    Every bridge reads those of all: in a large fleet each one looks less often.

    >>> look_again_s(2), look_again_s(320)
    (1.0, 10.0)
    """
    return max(_LOOK_EVERY_S, workers / _WORKERS_PER_S)


class Calls:
    """The claims of one worker.

    `waiter` is a connection of their own. `capacity` says how many jobs the worker may hold now,
    `fenced` is called when the registration has ended.
    """

    def __init__(
        self,
        waiter: Redis,
        keys: Keys,
        session: WorkerSession,
        attempts: Attempts,
        capacity: Callable[[], int],
        fenced: Callable[[], None],
    ) -> None:
        self._waiter = waiter
        self._keys = keys
        self._session = session
        self._attempts = attempts
        self._capacity = capacity
        self._fenced = fenced
        self._patience = EAGER
        self._has_room = True
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

    async def watch_fleet(self) -> None:
        """Keeps in mind, for ever, how fast the others are, and so which jobs to leave to them."""
        while True:
            pause_s = await self._look_at_fleet()
            await asyncio.sleep(pause_s)

    async def _take_one(self) -> None:
        left_s = self._again_at - time.monotonic()
        token = None
        if left_s > 0:
            token = await wait_for_call(
                self._waiter,
                self._keys,
                self._session.worker,
                has_room=self._has_room,
                longest_s=min(max(left_s, _SHORTEST_S), BLOCK_S),
            )
        if token is not None:
            self._attempts.stop(token, Stop.CANCELLED)
            return
        taken = await self._session.claim(self._capacity(), self._patience)
        for claim in taken.claims:
            self._attempts.start(claim)
        self._has_room = taken.free > 0
        self._again_at = math.inf if taken.again_s is None else time.monotonic() + taken.again_s

    async def _look_at_fleet(self) -> float:
        """Seconds until the next look. Whatever goes wrong, this worker works on: it takes all."""
        found, workers = EAGER, 0
        try:
            fleet = await self._session.fleet()
            found = patience(self._session.worker, fleet.speeds, fleet.load)
            workers = len(fleet.speeds)
        except RedisUnavailable as error:
            log.debug("can't see the fleet: %s", error.message)
        except Exception:
            log.exception("can't see the fleet: worker=%s takes all jobs", self._session.worker)
        self._patience = found
        return look_again_s(workers)
