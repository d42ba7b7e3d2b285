"""Looks at the workers of a model, for all those of them that this process has."""

import asyncio
import logging
from collections.abc import Callable

from dispatcher.beat import until_beat_s
from dispatcher.errors import RedisUnavailable
from dispatcher.fleet import NO_FLEET, Fleet, fetch_fleet
from dispatcher.keys import Keys
from dispatcher.link import Link

log = logging.getLogger("llamaq.claims")

_LOOK_EVERY_S = 1.0
_WORKERS_PER_S = 32


def look_again_s(workers: int) -> float:
    """How many seconds a bridge waits before it reads the speeds of the fleet again.

    Every bridge reads those of all workers, so in a large fleet each reads less often.

    >>> look_again_s(2), look_again_s(320)
    (1.0, 10.0)
    """
    return max(_LOOK_EVERY_S, workers / _WORKERS_PER_S)


class FleetWatch:
    """One look for all who want to know of it."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys
        self._listeners: set[Callable[[Fleet], None]] = set()
        self._looking = asyncio.Lock()

    async def tell(self, listener: Callable[[Fleet], None]) -> None:
        """Tells how the fleet is, again and again, for ever. One of those who are told looks."""
        self._listeners.add(listener)
        try:
            async with self._looking:
                while True:
                    fleet = await self._look()
                    for each in tuple(self._listeners):
                        each(fleet)
                    await asyncio.sleep(until_beat_s(look_again_s(len(fleet.speeds))))
        finally:
            self._listeners.discard(listener)

    async def _look(self) -> Fleet:
        """Whatever goes wrong, the workers work on: each is as if it were alone."""
        try:
            return await fetch_fleet(self._link, self._keys)
        except RedisUnavailable as error:
            log.debug("can't see the fleet: %s", error.message)
        except Exception as error:
            log.error("The fleet can't be seen; the workers take all jobs: %r", error)
        return NO_FLEET
