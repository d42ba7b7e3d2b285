"""The bridge's end of the reply stream: the frames of all its jobs, packed into few emits."""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Iterator, Sequence
from typing import Any, Protocol

from redis.exceptions import ResponseError

from dispatcher.commands import Commands, Identity
from dispatcher.crowd import Crowd
from dispatcher.errors import RedisUnavailable
from dispatcher.frames import Frame
from dispatcher.job import Claim
from dispatcher.outgoing import Letter, Outgoing, Refusal, Speaker
from dispatcher.settings import QueueSettings
from dispatcher.spacing import LAZY_S, Pace

log = logging.getLogger("llamaq.outbox")

_RETRY_S = 0.2
_MOST_JOBS = 64  # of one emit
_SLOW_S = 5.0  # what an API can't take for so long is given up
_SLOW_RETRY_S = 0.05
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

    A first token leaves at once. Others wait a little for each other and for those of the other
    outboxes of the `crowd`, but for those of a stream that is alone. `fenced()` is called when the
    registration has ended. An attempt by which too many bytes wait is paused until an emit has gone
    through.
    """

    def __init__(
        self,
        commands: Commands,
        sender: Sender,
        settings: QueueSettings,
        fenced: Callable[[], None],
        crowd: Crowd | None = None,
    ) -> None:
        self._commands = commands
        self._sender = sender
        self._limits = (int(settings.lease_s * 1000), settings.max_unread_bytes)
        self._fenced = fenced
        self._waiting: dict[str, dict[Outgoing, None]] = {}
        self._streams: set[Outgoing] = set()  # whose clients watch them grow
        self._paused: set[Outgoing] = set()
        self._bytes = 0
        self._crowd = crowd or Crowd()
        self._ring = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._due = math.inf
        self._soon = False  # whether the crowd will call it

    def open(self, claim: Claim, speaker: Speaker) -> Outgoing:
        """Takes what an attempt has to say."""
        return Outgoing(claim, speaker, self._note)

    def close(self, outgoing: Outgoing, take: Callable[[list[Frame]], None]) -> None:
        """Has `take` get the frames of an attempt that ends, once none is on the way any more."""
        emit = outgoing.on_its_way
        if emit is not None and not emit.done():
            emit.add_done_callback(lambda _: self.close(outgoing, take))
            return
        if outgoing.is_waiting:
            self._waiting.get(outgoing.api, {}).pop(outgoing, None)
            outgoing.is_waiting = False
        self._bytes -= outgoing.bytes
        self._streams.discard(outgoing)
        self._paused.discard(outgoing)
        take(outgoing.take())

    def clear(self) -> None:
        """Forgets everything: the registration it belonged to has ended."""
        for outgoing in [each for batch in self._waiting.values() for each in batch]:
            self._bytes -= outgoing.bytes
            outgoing.is_waiting = False
            outgoing.take()
        self._waiting.clear()

    async def run(self) -> None:
        """Sends for ever."""
        self._crowd.join(self._streams)
        self._ring.set()
        try:
            while True:
                await self._ring.wait()
                await self._send_all()
        finally:
            self._crowd.leave(self._streams)

    async def _send_all(self) -> None:
        self._ring.clear()
        self._crowd.began()
        self._due, self._soon = math.inf, False
        waiting, self._waiting = self._waiting, {}
        if works := [self._flush(api, batch) for api, batch in waiting.items() if batch]:
            await _all(works)
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
        if pace is Pace.NOW:
            self._ring.set()
        elif pace is Pace.LAZY:
            if self._due == math.inf:
                self._ring_lazily()
        else:
            self._crowd.rate.count(tokens)
            if not self._soon:
                self._soon = True
                self._crowd.call_together(self._ring.set)

    def _ring_lazily(self) -> None:
        self._due = time.monotonic() + LAZY_S
        if self._timer is None:  # one for many attempts: most end before it rings
            self._timer = asyncio.get_running_loop().call_later(LAZY_S, self._ring_if_due)

    def _ring_if_due(self) -> None:
        self._timer = None
        left_s = self._due - time.monotonic()
        if left_s <= 0:
            self._ring.set()
        elif left_s < math.inf:
            self._timer = asyncio.get_running_loop().call_later(left_s, self._ring_if_due)

    async def _flush(self, api: str, batch: Collection[Outgoing]) -> None:
        sent = asyncio.get_running_loop().create_future()
        for outgoing in batch:
            outgoing.on_its_way = sent
        try:
            for wave in _waves(batch):
                try:
                    await _all([self._send(api, letters) for letters in wave])
                finally:
                    self._bytes -= sum([letter.size for letters in wave for letter in letters])
        except BaseException:
            for outgoing in batch:
                if outgoing.is_waiting:  # still
                    self._waiting.setdefault(api, {})[outgoing] = None
            raise
        finally:
            sent.set_result(None)

    async def _send(self, api: str, letters: Sequence[Letter]) -> None:
        identity, given_up_at = self._sender.identity, time.monotonic() + _SLOW_S
        while identity == self._sender.identity:
            try:
                verdict, *refused = await self._commands.emit(
                    identity,
                    api,
                    *self._limits,
                    [(letter.outgoing.token, letter.begins, letter.frames) for letter in letters],
                )
            except RedisUnavailable:
                await asyncio.sleep(_RETRY_S)  # the frames wait here; a repeated emit does no harm
            except ResponseError as error:
                log.error("An emit failed: %r", error)
                await self._send_apart(api, letters)
                return
            else:
                if verdict == b"SLOW" and time.monotonic() < given_up_at:
                    await asyncio.sleep(_SLOW_RETRY_S)  # it reads, and tells so soon
                    continue
                if identity == self._sender.identity:  # else it is about an epoch that has ended
                    self._heed(verdict, refused, letters)
                return

    async def _send_apart(self, api: str, letters: Sequence[Letter]) -> None:
        """Job by job: the one that fails alone is stopped, the others go on."""
        if len(letters) == 1:
            letters[0].outgoing.speaker.refused(Refusal.FAILED)
            return
        for letter in letters:
            await self._send(api, [letter])

    def _heed(self, verdict: bytes, refused: Collection[bytes], letters: Sequence[Letter]) -> None:
        if verdict == b"FENCED":
            self._fenced()
            return
        foreign = {token.decode() for token in refused} if refused else ()
        for letter in letters:
            if verdict != b"OK":
                letter.outgoing.speaker.refused(Refusal[verdict.decode()])
            elif letter.outgoing.token in foreign:
                letter.outgoing.speaker.refused(Refusal.FOREIGN)
            elif letter.begins:
                letter.outgoing.told()

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


def _all(works: list[Coroutine[Any, Any, None]]) -> Awaitable[Any]:
    return works[0] if len(works) == 1 else asyncio.gather(*works)
