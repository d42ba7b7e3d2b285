"""Takes what the attempts of one worker say to one API: their frames, packed into few emits."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from redis.exceptions import ResponseError

from dispatcher.commands import Commands, Identity
from dispatcher.errors import RedisUnavailable
from dispatcher.outgoing import Letter, Outgoing, Refusal

log = logging.getLogger("llamaq.courier")

_RETRY_S = 0.2
_AFTER_A_FAULT_S = 1.0
_MOST_JOBS = 64  # of one emit
_SLOW_S = 30.0  # an API that takes nothing for this long is given up
_SLOW_RETRY_S = 0.05
_LONGEST_SLOW_RETRY_S = 0.4
_MOST_OF_EMIT_BYTES = 2**18
_MOST_AT_ONCE_BYTES = 2**20  # of emits to one api


class Sender(Protocol):
    """The worker that sends."""

    @property
    def identity(self) -> Identity:
        """The worker and its epoch, as of now."""


class Post(NamedTuple):
    """How the couriers of one worker send. `limits` are the lease in ms, and the unread bytes that
    an API may have. `fenced()` is called when the registration has ended.
    """

    commands: Commands
    sender: Sender
    limits: tuple[int, int]
    fenced: Callable[[], None]


class Courier:
    """Sends to one API, one flush at a time, whatever other APIs do.

    `outgoings` are the attempts whose answers it may have to take. Those that have too many bytes
    waiting for this API are paused, until an emit has gone through.
    """

    most_bytes = 4 * 2**20  # that wait or are on their way
    most_of_one_bytes = 2**18  # that wait

    def __init__(self, api: str, post: Post) -> None:
        self.outgoings = 0
        self.waiting: dict[Outgoing, None] = {}
        self.bytes = 0
        self.paused: set[Outgoing] = set()
        self._api = api
        self._post = post
        self._flush: asyncio.Task[None] | None = None
        self._is_due = False  # though a flush is under way

    def set_out(self) -> None:
        """Sends what waits: now, or after the flush that is under way."""
        if self._flush is not None:
            self._is_due = True
            return
        batch, self.waiting = self.waiting, {}
        if batch:
            sent = asyncio.get_running_loop().create_future()
            for outgoing in batch:
                outgoing.on_its_way = sent
            self._flush = asyncio.create_task(self._deliver(batch, sent))

    def pause(self, outgoing: Outgoing) -> None:
        """Pauses an attempt that has too much waiting, or whose API has too much to take."""
        if outgoing not in self.paused:
            self.paused.add(outgoing)
            outgoing.speaker.pause()

    def forget(self, outgoing: Outgoing) -> None:
        """Forgets an attempt that ends with nothing under way."""
        if outgoing.is_waiting:
            self.waiting.pop(outgoing, None)
            outgoing.is_waiting = False
        self.bytes -= outgoing.bytes
        self.paused.discard(outgoing)
        self.outgoings -= 1

    def clear(self) -> None:
        """Drops what waits."""
        for outgoing in self.waiting:
            self.bytes -= outgoing.bytes
            outgoing.is_waiting = False
            outgoing.take()
        self.waiting.clear()

    def stop(self) -> list[asyncio.Task[None]]:
        """The tasks to cancel, so that nothing is under way."""
        return [] if self._flush is None else [self._flush]

    async def _deliver(self, batch: Collection[Outgoing], sent: asyncio.Future[None]) -> None:
        try:
            await self._send_waves(batch, sent)
        except Exception:
            log.exception("Frames could not be sent, and are tried again")
            self._is_due = True
            await asyncio.sleep(_AFTER_A_FAULT_S)
        finally:
            self._flush = None
        self._resume()
        if self._is_due:
            self._is_due = False
            self.set_out()

    async def _send_waves(self, batch: Collection[Outgoing], sent: asyncio.Future[None]) -> None:
        try:
            for wave in _waves(batch):
                try:
                    await _all([self._send(letters) for letters in wave])
                finally:
                    self.bytes -= sum([letter.size for letters in wave for letter in letters])
        except BaseException:
            self.waiting |= {outgoing: None for outgoing in batch if outgoing.is_waiting}  # still
            raise
        finally:
            sent.set_result(None)

    async def _send(self, letters: Sequence[Letter]) -> None:
        commands, sender, limits, _ = self._post
        identity, began_at, pause_s = sender.identity, time.monotonic(), _SLOW_RETRY_S
        while identity == sender.identity:
            try:
                verdict, *refused = await commands.emit(
                    identity,
                    self._api,
                    *limits,
                    [(each.outgoing.attempt_id, each.begins, each.frames) for each in letters],
                )
            except RedisUnavailable:
                await asyncio.sleep(_RETRY_S)  # the frames wait here; a repeated emit does no harm
            except ResponseError as error:
                log.error("An emit failed: %r", error)
                await self._send_apart(letters)
                return
            else:
                if verdict == b"SLOW" and time.monotonic() - began_at < _SLOW_S:
                    await asyncio.sleep(pause_s)  # it reads, and tells so soon
                    pause_s = min(2 * pause_s, _LONGEST_SLOW_RETRY_S)
                    continue
                if identity == sender.identity:  # else it is about an epoch that has ended
                    self._heed(verdict, refused, letters)
                return

    async def _send_apart(self, letters: Sequence[Letter]) -> None:
        """Job by job: the one that fails alone is stopped, the others go on."""
        if len(letters) == 1:
            letters[0].outgoing.speaker.refused(Refusal.FAILED)
            return
        for letter in letters:
            await self._send([letter])

    def _heed(self, verdict: bytes, refused: Collection[bytes], letters: Sequence[Letter]) -> None:
        if verdict == b"FENCED":
            self._post.fenced()
            return
        foreign = {attempt_id.decode() for attempt_id in refused} if refused else ()
        for letter in letters:
            if verdict != b"OK":
                letter.outgoing.speaker.refused(Refusal[verdict.decode()])
            elif letter.outgoing.attempt_id in foreign:
                letter.outgoing.speaker.refused(Refusal.FOREIGN)
            elif letter.begins:
                letter.outgoing.told()

    def _resume(self) -> None:
        if not self.paused or self.bytes > self.most_bytes // 2:
            return
        few = self.most_of_one_bytes // 2
        for outgoing in [each for each in self.paused if each.bytes < few]:
            self.paused.discard(outgoing)
            outgoing.speaker.resume()


def _waves(batch: Iterable[Outgoing]) -> Iterator[list[list[Letter]]]:
    """What leaves at a time, as the lists of its emits. No emit has too many jobs or bytes. Frames
    are packed when it is their turn.
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
