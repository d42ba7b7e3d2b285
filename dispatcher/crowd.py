"""The streams of one process, and the moment at which their tokens leave together."""

import asyncio
import math
import time
from collections.abc import Callable, Sized

from dispatcher.spacing import Rate, spacing_s


class Crowd:
    """What the outboxes of one process share.

    Their emits leave in one write, and an API reads them at once. So all of them wait for each
    other, and the more streams there are in all, the longer (`spacing_s`).
    """

    def __init__(self) -> None:
        self.rate = Rate(time.monotonic())
        self._streams: dict[int, Sized] = {}
        self._rings: set[Callable[[], None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._began_at = -math.inf

    def join(self, streams: Sized) -> None:
        """An outbox counts its streams here, until it leaves."""
        self._streams[id(streams)] = streams

    def leave(self, streams: Sized) -> None:
        """It counts no more."""
        self._streams.pop(id(streams), None)

    def began(self) -> None:
        """An emit begins."""
        self._began_at = time.monotonic()
        self.rate.settle(self._began_at)

    def call_together(self, ring: Callable[[], None]) -> None:
        """Calls it when the next emits are due; once, however often it was asked for."""
        self._rings.add(ring)
        if self._timer is not None:
            return
        left_s = self._left_s()
        if left_s > 0:
            self._timer = asyncio.get_running_loop().call_later(left_s, self._call)
        else:
            self._call()

    def _left_s(self) -> float:
        streams = sum(map(len, self._streams.values()))
        wait_s = spacing_s(streams, self.rate.per_s)
        alone = streams < 2
        return self._began_at + wait_s - time.monotonic() if alone else wait_s

    def _call(self) -> None:
        self._timer = None
        rings, self._rings = self._rings, set()
        for ring in rings:
            ring()
