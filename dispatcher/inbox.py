"""The API's end of the reply stream: one reader per model, and the heartbeat beside it."""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from dispatcher.beat import until_beat_s
from dispatcher.commands import Commands
from dispatcher.connection import BLOCK_S, LinkedRedis
from dispatcher.errors import RedisUnavailable, WorkerFailed
from dispatcher.frames import FROM_SCRIPT, unpack
from dispatcher.job import split_attempt_id
from dispatcher.redis_clock import RedisClock
from dispatcher.reply import Reply

log = logging.getLogger("llamaq.inbox")

_START = b"0-0"
_ENTRIES = 500
_ENTRIES_APART = 16
_MOST_FIELDS = 2000  # and values of an entry: bridges write one pair for each of 64 attempts
_RETRY_S = 0.2
_MUCH_BYTES = 4 * 2**20


class Inbox:
    """Hands the frames of one model's jobs to the replies that wait for them.

    `commands` use a connection that no request uses, so that the heartbeat waits for none. `reader`
    is a blocking client that nobody else uses. `forgotten(job, generation)` is called for a job
    that must be submitted again. Redis is asked about the `known` jobs.
    """

    def __init__(
        self,
        api: str,
        commands: Commands,
        reader: LinkedRedis,
        lease_s: float,
        forgotten: Callable[[str, int], None],
    ) -> None:
        self.replies: dict[str, Reply] = {}
        self.known: set[str] = set()
        self.clock = RedisClock()
        self._api = api
        self._commands = commands
        self._reader = reader
        self._link, self._most_entries = reader.link, _ENTRIES
        self._lease_s = lease_s
        self._forgotten = forgotten
        self._stream = commands.keys.named("replies", api)
        self._position = self._asked_from = _START
        self._read_bytes = 0
        self._has_read_much = asyncio.Event()
        self._boot = b""
        self._told_at = float("-inf")
        self._telling = asyncio.Lock()

    def keep_apart(self, *, is_apart: bool) -> None:
        """Whether invited machines can write to the stream: then each read is bounded."""
        self._link = (
            self._reader.apart(self._commands.keys.model) if is_apart else self._reader.link
        )
        self._most_entries = _ENTRIES_APART if is_apart else _ENTRIES

    async def heartbeat(self) -> None:
        """Tells Redis that this API lives and what it waits for; makes the reply stream."""
        read, self._read_bytes = self._read_bytes, 0
        self._has_read_much.clear()
        position = self._position  # the reader goes on while this is on its way
        asked = {
            job: self.replies[job].generation
            for job in self.known
            if not self.replies[job].ended and not self.replies[job].lost
        }
        try:
            boot, last, now_ms, *unknown = await self._commands.api_heartbeat(
                self._api,
                int(self._lease_s * 1000),
                position.decode(),
                read,
                secrets.token_hex(8),
                asked.items(),
            )
        except RedisUnavailable:
            self._read_bytes += read
            raise
        self.clock.learn(int(now_ms))
        if boot != self._boot or _entry(last) < _entry(position):
            self._boot, self._position = boot, _START
        for job in map(bytes.decode, unknown):
            self._forgotten(job, asked[job])

    async def tell_again(self) -> None:
        """Makes a heartbeat that begins now; callers at the same time share one."""
        asked_at = time.monotonic()
        async with self._telling:
            if self._told_at < asked_at:
                self._told_at = time.monotonic()
                await self.heartbeat()

    async def run_heartbeat(self) -> None:
        """Four heartbeats per lease, for ever. One comes sooner after a failure, and after a long
        read: it tells bridges that they may write more.
        """
        while True:
            pause_s = until_beat_s(self._lease_s / 4)
            try:
                await self.heartbeat()
            except RedisUnavailable as error:
                log.warning("%s", error.message)
                pause_s /= 2
                await asyncio.sleep(pause_s)
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._has_read_much.wait()

    async def run_reader(self) -> None:
        """Reads for ever. After a reconnection it goes on where it was."""
        while True:
            reading = _Reading(self._read_on)
            try:
                self._ask(reading)
                await reading.failed
            except RedisUnavailable:
                await asyncio.sleep(_RETRY_S)

    def _ask(self, reading: "_Reading") -> None:
        self._asked_from = self._position
        self._link.ask(
            reading,
            *("XREAD", "COUNT", self._most_entries, "BLOCK", int(BLOCK_S * 1000)),
            *("STREAMS", self._stream, self._position),
        )

    def _read_on(self, reading: "_Reading", answer: Any) -> None:
        """Hands out what an XREAD has found, and asks for what comes next."""
        # If the heartbeat has sent the reader back meanwhile, what came is read again.
        if answer and self._position == self._asked_from:
            for entry, fields in answer[0][1]:
                self._position = entry
                if len(fields) <= _MOST_FIELDS:
                    self._deliver(dict(zip(fields[::2], fields[1::2], strict=True)))
            if self._read_bytes > _MUCH_BYTES:
                self._has_read_much.set()
        self._ask(reading)

    def _deliver(self, fields: dict[bytes, bytes]) -> None:
        for name, value in fields.items():
            if name == b"hello":
                continue
            attempt_id = name.decode(errors="replace")
            reply = self.replies.get(split_attempt_id(attempt_id)[0])
            try:
                frames = unpack(value)
                if reply is not None:
                    for frame in frames:
                        reply.put(attempt_id, frame)
            except Exception as error:  # a bridge of another version; the other jobs go on
                log.error("A worker sent frames that can't be read: %.200r", error)
                frames = []
                if reply is not None:
                    reply.fail(WorkerFailed.code, "The worker's answer can't be read by this API.")
            if not frames or frames[0].seq != FROM_SCRIPT:
                self._read_bytes += len(value)


class _Reading:
    """Waits for the answers of XREAD, and reads them as they come: a task would be a round later.

    `failed` tells why there is no further one.
    """

    def __init__(self, take: Callable[["_Reading", Any], None]) -> None:
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.done = self.failed.done
        self._take = take

    def set_result(self, answer: Any) -> None:
        """See `dispatcher.wire.Waiter`."""
        try:
            self._take(self, answer)
        except Exception as error:
            self.set_exception(error)

    def set_exception(self, error: Exception) -> None:
        """See `dispatcher.wire.Waiter`."""
        if not self.failed.done():
            self.failed.set_exception(error)


def _entry(name: bytes) -> tuple[int, int]:
    milliseconds, _, count = name.partition(b"-")
    return int(milliseconds), int(count)
