"""How many jobs a worker takes, and which ones it leaves to faster workers."""

import asyncio
import logging

from dispatcher.errors import RedisUnavailable
from dispatcher.patience import EAGER, patience
from dispatcher.worker import WorkerSession
from worker_bridge.breaker import Mode
from worker_bridge.server_state import ServerState

log = logging.getLogger("llamaq.claims")

_LOOK_EVERY_S = 1.0
_WORKERS_PER_S = 32


def look_again_s(workers: int) -> float:
    """After how many seconds a bridge reads the speeds of so many workers again.

    Every bridge reads those of all: in a large fleet each one looks less often.

    >>> look_again_s(2), look_again_s(320)
    (1.0, 10.0)
    """
    return max(_LOOK_EVERY_S, workers / _WORKERS_PER_S)


class ClaimPolicy:
    """What each claim of a worker asks for."""

    def __init__(self, session: WorkerSession, state: ServerState) -> None:
        self.patience = EAGER
        self._session = session
        self._state = state

    @property
    def most(self) -> int:
        """How many jobs the worker may hold now."""
        return self._state.most

    @property
    def most_after_an_end(self) -> int:
        """As `most`, with the finish of an attempt: a trial begins by a claim of its own."""
        return self._state.most if self._state.breaker.mode is Mode.CLOSED else 0

    async def watch_fleet(self) -> None:
        """Keeps in mind, for ever, how fast the others are, and so which jobs to leave to them."""
        while True:
            pause_s = await self._look_at_fleet()
            await asyncio.sleep(pause_s)

    async def _look_at_fleet(self) -> float:
        """Seconds until the next look. Whatever goes wrong, this worker works on: it takes all."""
        found, workers = EAGER, 0
        try:
            fleet = await self._session.fleet()
            found = patience(self._session.worker, fleet.speeds, fleet.load)
            workers = len(fleet.speeds)
        except RedisUnavailable as error:
            log.debug("can't see the fleet: %s", error.message)
        except Exception as error:
            log.error("The fleet can't be seen; the worker takes all jobs: %r", error)
        self.patience = found
        return look_again_s(workers)
