"""The bridge's end of the reply stream: the frames of all its jobs, and when they leave."""

import asyncio
import math
import time
from collections.abc import Callable

from dispatcher.commands import Commands
from dispatcher.courier import Courier, Post, Sender
from dispatcher.crowd import Crowd
from dispatcher.frames import Frame
from dispatcher.job import Claim
from dispatcher.outgoing import Outgoing, Speaker
from dispatcher.settings import QueueSettings
from dispatcher.spacing import LAZY_S, Pace
from dispatcher.tasks import cancel


class Outbox:
    """Collects frames, and gives them to a courier for each API.

    A first token leaves at once. Others wait a little for each other, and for those of the other
    outboxes of the `crowd`. Those of a stream that is alone wait for none. `fenced()` is called
    when the registration has ended. An API that is late holds up no other.
    """

    def __init__(
        self,
        commands: Commands,
        sender: Sender,
        settings: QueueSettings,
        fenced: Callable[[], None],
        crowd: Crowd | None = None,
    ) -> None:
        limits = int(settings.lease_s * 1000), settings.max_unread_bytes
        self._post = Post(commands, sender, limits, fenced)
        self._couriers: dict[str, Courier] = {}  # of the apis that wait for an answer
        self._streams: set[Outgoing] = set()  # whose clients watch them grow
        self._crowd = crowd or Crowd()
        self._runs = self._is_rung = False
        self._timer: asyncio.TimerHandle | None = None
        self._due = math.inf
        self._soon = False  # whether the crowd will call it

    def open(self, claim: Claim, speaker: Speaker) -> Outgoing:
        """Takes what an attempt says, until `close`."""
        courier = self._couriers.get(claim.api)
        if courier is None:
            courier = self._couriers[claim.api] = Courier(claim.api, self._post)
        courier.outgoings += 1
        return Outgoing(claim, speaker, self._note)

    def close(self, outgoing: Outgoing, take: Callable[[list[Frame]], None]) -> None:
        """Gives `take` the last frames of an attempt, once none of its frames is on the way."""
        emit = outgoing.on_its_way
        if emit is not None and not emit.done():
            emit.add_done_callback(lambda _: self.close(outgoing, take))
            return
        courier = self._couriers[outgoing.api]
        courier.forget(outgoing)
        if not courier.outgoings:
            del self._couriers[outgoing.api]
        self._streams.discard(outgoing)
        take(outgoing.take())

    def clear(self) -> None:
        """Forgets everything: the registration it belonged to has ended."""
        for courier in self._couriers.values():
            courier.clear()

    async def run(self) -> None:
        """Sends for ever."""
        self._crowd.join(self._streams)
        self._runs = True
        self._ring()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self._runs = False
            self._crowd.leave(self._streams)
            await cancel(each for courier in self._couriers.values() for each in courier.stop())

    def _note(self, outgoing: Outgoing, tokens: int, size: int, pace: Pace) -> None:
        courier = self._couriers[outgoing.api]
        courier.bytes += size
        if not outgoing.is_waiting:
            outgoing.is_waiting = True
            courier.waiting[outgoing] = None
        if pace is Pace.NOW:
            self._streams.add(outgoing)
        if courier.bytes > courier.most_bytes or outgoing.bytes > courier.most_of_one_bytes:
            courier.pause(outgoing)
            pace = Pace.NOW
        if pace is Pace.NOW:
            self._ring()
        elif pace is Pace.LAZY:
            if self._due == math.inf:
                self._ring_lazily()
        else:
            self._crowd.rate.count(tokens)
            if not self._soon:
                self._soon = True
                self._crowd.call_together(self._ring)

    def _ring(self) -> None:
        """Sends what waits after this tick of the event loop."""
        if not self._is_rung:
            self._is_rung = True
            asyncio.get_running_loop().call_soon(self._send_all)

    def _send_all(self) -> None:
        self._is_rung = False
        if not self._runs:
            return
        self._crowd.began()
        self._due, self._soon = math.inf, False
        for courier in self._couriers.values():
            courier.set_out()

    def _ring_lazily(self) -> None:
        self._due = time.monotonic() + LAZY_S
        if self._timer is None:  # one for many attempts: most end before it rings
            self._timer = asyncio.get_running_loop().call_later(LAZY_S, self._ring_if_due)

    def _ring_if_due(self) -> None:
        self._timer = None
        left_s = self._due - time.monotonic()
        if left_s <= 0:
            self._ring()
        elif left_s < math.inf:
            self._timer = asyncio.get_running_loop().call_later(left_s, self._ring_if_due)
