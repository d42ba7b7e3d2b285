"""The bridge's end of the reply stream: the frames of all its jobs, packed into few emits."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto

from redis.exceptions import ResponseError

from dispatcher.errors import RedisUnavailable
from dispatcher.frames import Frame, pack
from dispatcher.job import Claim
from dispatcher.scripts import Scripts
from dispatcher.settings import QueueSettings

log = logging.getLogger("llamaq.outbox")

_LAZY_S = 1.0
_SPACING_S = 0.02
_RETRY_S = 0.2


class Pace(Enum):
    """How soon a frame must be on its way."""

    NOW = auto()  # the first token: people wait for it
    SOON = auto()  # within 20 ms: many streams then share an emit
    LAZY = auto()  # within 1 s: nobody looks before the answer is complete


class Refusal(Enum):
    """Why the frames of an attempt were not passed on."""

    FOREIGN = auto()  # it is no longer this worker's
    GONE = auto()  # its API was taken for dead
    SLOW = auto()  # its API doesn't keep up
    FAILED = auto()  # Redis can't pass them on


@dataclass(slots=True)
class _Pending:
    frames: list[Frame] = field(default_factory=list)
    visible: bool = False


class Outbox:
    """Collects frames and sends them, one emit per api at a time.

    The next emit starts when the last one was answered, and 20 ms after it began unless there is a
    first token in it: no delay when idle, big batches under load. `stop(token, refusal)` is called
    for each attempt that can't go on; `fenced()` when the registration has ended.
    """

    def __init__(
        self,
        scripts: Scripts,
        identity: Callable[[], tuple[str, str]],
        settings: QueueSettings,
        stop: Callable[[str, Refusal], None],
        fenced: Callable[[], None],
    ) -> None:
        self._scripts = scripts
        self._identity = identity
        self._limits = (int(settings.lease_s * 1000), settings.max_unread_bytes)
        self._stop = stop
        self._fenced = fenced
        self._pending: dict[str, dict[str, _Pending]] = {}
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()
        self._idle = asyncio.Condition()
        self._in_flight: set[str] = set()

    def add(self, claim: Claim, frame: Frame, pace: Pace, *, visible: bool) -> None:
        """Takes a frame; `visible` says that it will be shown to a client at once."""
        pending = self._pending.setdefault(claim.api, {}).setdefault(claim.token, _Pending())
        pending.frames.append(frame)
        pending.visible |= visible
        if pace is not Pace.LAZY:
            self._wake.set()
        if pace is Pace.NOW:
            self._hurry.set()

    async def take(self, claim: Claim) -> list[Frame]:
        """The frames of an attempt that ends, once none of them is on the way any more."""
        async with self._idle:
            await self._idle.wait_for(lambda: claim.token not in self._in_flight)
        pending = self._pending.get(claim.api, {}).pop(claim.token, None)
        return pending.frames if pending else []

    def clear(self) -> None:
        """Forgets everything: the registration it belonged to has ended."""
        self._pending.clear()

    async def run(self) -> None:
        """Sends for ever."""
        clock = asyncio.get_running_loop().time
        began_at = clock()
        while True:
            await _wait(self._wake, _LAZY_S)
            await _wait(self._hurry, began_at + _SPACING_S - clock())
            self._wake.clear()
            self._hurry.clear()
            began_at = clock()
            for api in list(self._pending):
                await self._flush(api, self._pending.pop(api, {}))

    async def _flush(self, api: str, batch: dict[str, _Pending]) -> None:
        if not batch:
            return
        self._in_flight = set(batch)
        try:
            await self._send(api, batch)
        finally:
            self._in_flight = set()
            async with self._idle:
                self._idle.notify_all()

    async def _send(self, api: str, batch: dict[str, _Pending]) -> None:
        triples: list[str | bytes | int] = []
        for token, pending in batch.items():
            triples += (token, int(pending.visible), pack(pending.frames))
        identity = self._identity()
        while identity == self._identity():
            try:
                verdict, *refused = await self._scripts.run(
                    "emit", *identity, api, *self._limits, *triples
                )
            except RedisUnavailable:
                await asyncio.sleep(_RETRY_S)  # the frames wait here; a repeated emit does no harm
            except ResponseError as error:
                log.error("An emit failed: %r", error)
                await self._send_apart(api, batch)
                return
            else:
                if identity == self._identity():  # else it is about an epoch that has ended
                    self._heed(verdict.decode(), [token.decode() for token in refused], list(batch))
                return

    async def _send_apart(self, api: str, batch: dict[str, _Pending]) -> None:
        """Job by job: the one that fails alone is stopped, the others go on."""
        if len(batch) == 1:
            self._stop(next(iter(batch)), Refusal.FAILED)
            return
        for token, pending in batch.items():
            await self._send(api, {token: pending})

    def _heed(self, verdict: str, refused: list[str], sent: list[str]) -> None:
        if verdict == "FENCED":
            self._fenced()
        elif verdict == "OK":
            for token in refused:
                self._stop(token, Refusal.FOREIGN)
        else:
            for token in sent:
                self._stop(token, Refusal[verdict])


async def _wait(event: asyncio.Event, longest_s: float) -> None:
    if longest_s <= 0 or event.is_set():
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(longest_s):
            await event.wait()
