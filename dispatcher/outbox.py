"""The bridge's end of the reply stream: the frames of all its jobs, packed into few emits."""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator, Sequence
from typing import Any, Protocol

from redis.exceptions import ResponseError

from dispatcher.commands import Commands, Identity
from dispatcher.errors import RedisUnavailable
from dispatcher.frames import Frame
from dispatcher.job import Claim
from dispatcher.outgoing import Letter, Outgoing, Refusal, Speaker
from dispatcher.settings import QueueSettings
from dispatcher.spacing import LAZY_S, Pace, Rate, spacing_s

log = logging.getLogger("llamaq.outbox")

_RETRY_S = 0.2
_MOST_JOBS = 64  # of one emit
_MOST_OF_EMIT_BYTES = 2**18
_MOST_AT_ONCE_BYTES = 2**20  # of emits to one api
_MOST_BYTES = 4 * 2**20  # that wait or are on their way, of all attempts
_MOST_OF_ONE_BYTES = 2**18


class Sender(Protocol):
    """Who sends."""

    @property
    def identity(self) -> Identity:
        """The worker and its epoch, as of now."""


class Outbox:
    """Collects frames and sends them, one emit per api at a time.

    A first token leaves at once. Others wait a little for each other (`spacing_s`), but for those
    of a stream that is alone. `fenced()` is called when the registration has ended. An attempt by
    which too many bytes wait is paused until an emit has gone through.
    """

    def __init__(
        self,
        commands: Commands,
        sender: Sender,
        settings: QueueSettings,
        fenced: Callable[[], None],
    ) -> None:
        self._commands = commands
        self._sender = sender
        self._limits = (int(settings.lease_s * 1000), settings.max_unread_bytes)
        self._fenced = fenced
        self._waiting: dict[str, dict[Outgoing, None]] = {}
        self._streams: set[Outgoing] = set()  # whose clients watch them grow
        self._paused: set[Outgoing] = set()
        self._bytes = 0
        self._rate = Rate(time.monotonic())
        self._ring = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._due = math.inf
        self._soon = False  # whether it is for more than lazy frames
        self._began_at = -math.inf

    def open(self, claim: Claim, speaker: Speaker) -> Outgoing:
        """Takes what an attempt has to say."""
        return Outgoing(claim, speaker, self._note)

    async def close(self, outgoing: Outgoing) -> list[Frame]:
        """The frames of an attempt that ends, once none of them is on the way any more."""
        while outgoing.on_its_way is not None:
            await asyncio.wait([outgoing.on_its_way])
        if outgoing.is_waiting:
            self._waiting.get(outgoing.api, {}).pop(outgoing, None)
            outgoing.is_waiting = False
        self._bytes -= outgoing.bytes
        self._streams.discard(outgoing)
        self._paused.discard(outgoing)
        return outgoing.take()

    def clear(self) -> None:
        """Forgets everything: the registration it belonged to has ended."""
        for outgoing in [each for batch in self._waiting.values() for each in batch]:
            self._bytes -= outgoing.bytes
            outgoing.is_waiting = False
            outgoing.take()
        self._waiting.clear()

    async def run(self) -> None:
        """Sends for ever."""
        self._ring.set()
        while True:
            await self._ring.wait()
            self._ring.clear()
            self._began_at = time.monotonic()
            self._due, self._soon = math.inf, False
            self._rate.settle(self._began_at)
            waiting, self._waiting = self._waiting, {}
            await _all([self._flush(api, batch) for api, batch in waiting.items()])
            self._resume()

    def _note(self, outgoing: Outgoing, tokens: int, size: int, pace: Pace) -> None:
        self._bytes += size
        if not outgoing.is_waiting:
            outgoing.is_waiting = True
            self._waiting.setdefault(outgoing.api, {})[outgoing] = None
        if pace is Pace.NOW:
            self._streams.add(outgoing)
        if self._bytes > _MOST_BYTES or outgoing.bytes > _MOST_OF_ONE_BYTES:
            self._pause(outgoing)
            pace = Pace.NOW
        if pace is Pace.SOON:
            self._rate.count(tokens)
            if self._soon:
                return
            self._soon = True
        self._ring_at(self._when(pace))

    def _when(self, pace: Pace) -> float:
        now = time.monotonic()
        if pace is Pace.NOW:
            return now
        if pace is Pace.LAZY:
            return now + LAZY_S
        wait_s = spacing_s(len(self._streams), self._rate.per_s)
        alone = len(self._streams) < 2
        return self._began_at + wait_s if alone else now + wait_s

    def _ring_at(self, when: float) -> None:
        left_s = when - time.monotonic()
        if left_s <= 0:
            self._ring.set()
        elif when < self._due:
            self._due = when
            if self._timer is not None:
                self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_later(left_s, self._ring.set)

    async def _flush(self, api: str, batch: Collection[Outgoing]) -> None:
        sent = asyncio.get_running_loop().create_future()
        for outgoing in batch:
            outgoing.on_its_way = sent
        try:
            for wave in _waves(batch):
                try:
                    await _all([self._send(api, letters) for letters in wave])
                finally:
                    self._bytes -= sum(letter.size for letters in wave for letter in letters)
        finally:
            for outgoing in batch:
                outgoing.on_its_way = None
                if outgoing.is_waiting:  # again, or still where something failed
                    self._waiting.setdefault(api, {})[outgoing] = None
            sent.set_result(None)

    async def _send(self, api: str, letters: Sequence[Letter]) -> None:
        identity = self._sender.identity
        while identity == self._sender.identity:
            try:
                verdict, *refused = await self._emit(identity, api, letters)
            except RedisUnavailable:
                await asyncio.sleep(_RETRY_S)  # the frames wait here; a repeated emit does no harm
            except ResponseError as error:
                log.error("An emit failed: %r", error)
                await self._send_apart(api, letters)
                return
            else:
                if identity == self._sender.identity:  # else it is about an epoch that has ended
                    self._heed(verdict.decode(), {token.decode() for token in refused}, letters)
                return

    async def _emit(self, identity: Identity, api: str, letters: Sequence[Letter]) -> list[Any]:
        frames = [(letter.outgoing.token, letter.begins, letter.frames) for letter in letters]
        return await self._commands.emit(identity, api, *self._limits, frames)

    async def _send_apart(self, api: str, letters: Sequence[Letter]) -> None:
        """Job by job: the one that fails alone is stopped, the others go on."""
        if len(letters) == 1:
            letters[0].outgoing.speaker.refused(Refusal.FAILED)
            return
        for letter in letters:
            await self._send(api, [letter])

    def _heed(self, verdict: str, foreign: set[str], letters: Sequence[Letter]) -> None:
        if verdict == "FENCED":
            self._fenced()
            return
        for outgoing in [letter.outgoing for letter in letters]:
            if verdict != "OK":
                outgoing.speaker.refused(Refusal[verdict])
            elif outgoing.token in foreign:
                outgoing.speaker.refused(Refusal.FOREIGN)
            else:
                outgoing.told()

    def _pause(self, outgoing: Outgoing) -> None:
        if outgoing not in self._paused:
            self._paused.add(outgoing)
            outgoing.speaker.pause()

    def _resume(self) -> None:
        if self._bytes > _MOST_BYTES // 2:
            return
        for outgoing in [each for each in self._paused if each.bytes < _MOST_OF_ONE_BYTES // 2]:
            self._paused.discard(outgoing)
            outgoing.speaker.resume()


def _waves(batch: Iterable[Outgoing]) -> Iterator[list[list[Letter]]]:
    """What leaves at a time, as lists of what each emit has: neither too many jobs nor too many
    bytes. Frames are packed when it is their turn.
    """
    wave: list[list[Letter]] = [[]]
    in_emit = in_wave = 0
    for outgoing in batch:
        if in_emit >= _MOST_OF_EMIT_BYTES or len(wave[-1]) == _MOST_JOBS:
            if in_wave >= _MOST_AT_ONCE_BYTES:
                yield wave
                wave, in_wave = [], 0
            wave.append([])
            in_emit = 0
        letter = outgoing.pack()
        wave[-1].append(letter)
        in_emit += letter.size
        in_wave += letter.size
    yield wave


async def _all(works: list[Coroutine[Any, Any, None]]) -> None:
    if len(works) == 1:
        await works[0]
    else:
        await asyncio.gather(*works)
