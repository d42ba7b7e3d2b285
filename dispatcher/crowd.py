"""The streams of one process, and the moment at which their tokens leave together."""

import asyncio
import math
import time
from collections.abc import Callable, Collection

from dispatcher.outgoing import Outgoing, Speaker
from dispatcher.spacing import Rate, is_dense, spacing_s


class Crowd:
    """What the outboxes of one process share.

    Their emits leave in one write, and an API reads them at once. So all of them wait for each
    other, and the more streams there are in all, the longer (`spacing_s`). Where streams are dense,
    each is read just before its emit: one read then takes what came meanwhile, and nothing wakes
    the process for a token.
    """

    def __init__(self) -> None:
        self.rate = Rate(time.monotonic())
        self._streams: dict[int, Collection[Outgoing]] = {}
        self._rings: set[Callable[[], None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._reads = False  # whether it reads them; else they listen
        self._began_at = -math.inf

    def join(self, streams: Collection[Outgoing]) -> None:
        """Adds the streams of an outbox, until it leaves."""
        self._streams[id(streams)] = streams

    def leave(self, streams: Collection[Outgoing]) -> None:
        """Removes its streams: they listen for themselves."""
        self._streams.pop(id(streams), None)
        for outgoing in list(streams):
            outgoing.speaker.listen()

    def began(self) -> None:
        """An emit begins."""
        self._began_at = time.monotonic()
        self.rate.settle(self._began_at)

    def call_together(self, ring: Callable[[], None]) -> None:
        """Calls `ring` when the next emits are due; once, however often it was asked to."""
        self._rings.add(ring)
        if self._timer is not None:
            return
        left_s = self._left_s()
        if left_s > 0:
            self._timer = asyncio.get_running_loop().call_later(left_s, self._call)
        else:
            self._call()

    @property
    def _number(self) -> int:
        return sum(map(len, self._streams.values()))

    def _left_s(self) -> float:
        streams = self._number
        wait_s = spacing_s(streams, self.rate.per_s)
        alone = streams < 2
        return self._began_at + wait_s - time.monotonic() if alone else wait_s

    def _call(self) -> None:
        self._timer = None
        self.rate.settle(time.monotonic())  # also where nothing comes and nothing is emitted
        read_before, self._reads = self._reads, is_dense(self._number, self.rate.per_s)
        if self._reads:
            left_s = self._left_s()
            self._timer = asyncio.get_running_loop().call_later(left_s, self._call)  # in any case
            self._tell(lambda speaker: speaker.read())
        elif read_before:
            self._tell(lambda speaker: speaker.listen())
        rings, self._rings = self._rings, set()
        for ring in rings:
            ring()

    def _tell(self, say: Callable[[Speaker], None]) -> None:
        for streams in self._streams.values():
            for outgoing in list(streams):  # one that ends leaves them
                say(outgoing.speaker)
