"""The watch over invited machines: one that fills Redis loses its invitation."""

import asyncio
import logging
from collections.abc import Callable
from typing import NamedTuple

from redis.exceptions import ResponseError

from dispatcher.beat import until_beat_s
from dispatcher.commands import Commands
from dispatcher.connection import LinkedRedis
from dispatcher.errors import RedisFull, RedisUnavailable
from dispatcher.invitations import Invitations, end_invitation
from dispatcher.invited_clients import read_held
from dispatcher.invited_user import pattern_of
from dispatcher.invited_users import expel
from dispatcher.key_lock import lock
from dispatcher.keys import WATCH, Keys
from dispatcher.registry import ask_for_each

log = logging.getLogger("llamaq.invitations")

_BEAT_S = 1.0
_EVERY_BEATS = 60
_WATCH_MS = 5000
_KEYS_AT_ONCE = 200
_MOST_ELEMENTS = 1_000_000
_MOST_CONNECTIONS = 512  # of one machine: a bridge has two, and one more for each server
_MANY_CLIENTS = 100
_MOST_NAMED = 5000
_TOO_MANY = "it had too many workers, APIs, classes or counters"
_MOST_BUFFERED_BYTES = 2**26  # of a machine that reads no answers, or ends no command
_PAUSE_S = 0.005  # others get their turn


class InvitedWatch:
    """Looks at what `invited` machines take of Redis, once a minute and when much was added.

    One API at a time does so.

    - Where the keys of a model take more than `most_bytes`, or half of what Redis may have, all
      machines invited to it lose their users, and its keys are removed. The APIs queue its jobs
      again, and its other workers join again, as if Redis had lost them.
    - A machine with many connections, or large buffers, loses its user too.
    """

    def __init__(
        self, redis: LinkedRedis, api: str, invited: Callable[[], Invitations], most_bytes: int
    ) -> None:
        self._redis = redis
        self._api = api
        self._invited = invited
        self._most_bytes = most_bytes
        self._beats = 0
        self._before = _Load(0, 0, 0)

    async def run(self) -> None:
        """Watches for ever."""
        while True:
            await asyncio.sleep(until_beat_s(_BEAT_S))
            try:
                await self.look()
            except RedisUnavailable as error:
                log.warning("%s", error.message)
            except ResponseError as error:
                log.error("What invited machines take of Redis can't be told: %s", error)

    async def look(self) -> None:
        """One beat. Raises `RedisUnavailable` and `ResponseError`."""
        invited = self._invited()
        if not invited or not await self._has_the_watch():
            return
        for model in sorted({each.model for each in invited.values()}):
            if await self._has_too_many(model):
                await self._end_model(
                    model, invited, "there were too many workers, APIs or classes"
                )
        load = await self._read_load()
        self._beats += 1
        if not load.is_much_more_than(self._before) and self._beats % _EVERY_BEATS != 1:
            return
        await self._look_at_connections(invited)
        for model in sorted({each.model for each in invited.values()}):
            if await self._is_too_much(model, load.most_bytes):
                why = f"its keys took more than {load.most_bytes // 2**20} MiB of Redis"
                await self._end_model(model, invited, why)
        self._before = await self._read_load()

    async def _has_the_watch(self) -> bool:
        try:
            return await lock(self._redis.link, WATCH, self._api, _WATCH_MS)
        except RedisFull:  # all may be needed now
            return True

    async def _read_load(self) -> "_Load":
        sections = [self._redis.link.call("INFO", name) for name in ("memory", "clients")]
        text = b"\r\n".join(await asyncio.gather(*sections))
        pairs = (line.partition(b":") for line in text.split(b"\r\n"))
        about = {name: value for name, _, value in pairs}
        at_most = int(about.get(b"maxmemory", 0))
        most_bytes = min(self._most_bytes, at_most // 2) if at_most else self._most_bytes
        return _Load(int(about[b"used_memory"]), int(about[b"connected_clients"]), most_bytes)

    async def _look_at_connections(self, invited: Invitations) -> None:
        for machine, held in (await read_held(self._redis)).items():
            if machine not in invited:
                continue
            if held.connections > _MOST_CONNECTIONS:
                why = f"it had {held.connections} connections to Redis"
            elif held.bytes > _MOST_BUFFERED_BYTES:
                why = f"its connections took {held.bytes // 2**20} MiB of Redis"
            else:
                continue
            await self._expel(machine, why)
            await end_invitation(self._redis, invited[machine], why)

    async def _is_too_much(self, model: str, most_bytes: int) -> bool:
        commands, cursor, in_all = self._commands(model), b"0", 0
        pattern = pattern_of(model)
        while True:
            page = await commands.weigh(cursor, pattern, _KEYS_AT_ONCE, _MOST_ELEMENTS)
            cursor, more = page[0], int(page[1])
            in_all += more
            if more < 0 or in_all > most_bytes:
                return True
            if cursor == b"0":
                return False
            await asyncio.sleep(_PAUSE_S)

    async def _has_too_many(self, model: str) -> bool:
        """Scripts look at all of these. If there are many, Redis does nothing else."""
        named, link = Keys(model).named, self._redis.apart(model)
        asked = [("ZCARD", named(name)) for name in ("workers", "apis", "classes")]
        asked += [("HLEN", named(name)) for name in ("speeds", "counters")]
        found = await ask_for_each(link, asked)
        return any(isinstance(many, int) and many > _MOST_NAMED for many in found)

    async def _end_model(self, model: str, invited: Invitations, reason: str) -> None:
        why = f"of the model {model!r}: {reason}"
        guilty = [each for each in invited.values() if each.model == model]
        for each in guilty:  # first: it takes no memory, and they write on
            await self._expel(each.name, why)
        await self.wipe(model)
        for each in guilty:
            await end_invitation(self._redis, each, why)

    async def _expel(self, machine: str, why: str) -> None:
        log.error("The machine %r is invited no more: %s", machine, why)
        await expel(self._redis, machine)

    async def wipe(self, model: str) -> None:
        """Removes the keys of a model, as if Redis had lost them; its jobs last (lua/wipe.lua)."""
        commands, pattern = self._commands(model), pattern_of(model)
        for jobs_stay in (1, 0):
            cursor = await commands.wipe(b"0", pattern, _KEYS_AT_ONCE, jobs_stay)
            while cursor != b"0":
                await asyncio.sleep(_PAUSE_S)
                cursor = await commands.wipe(cursor, pattern, _KEYS_AT_ONCE, jobs_stay)

    def _commands(self, model: str) -> Commands:
        commands = Commands(self._redis, Keys(model))
        commands.keep_apart(is_apart=True)
        return commands


class _Load(NamedTuple):
    """What Redis uses, who is connected, and what a model with invited machines may take."""

    used_bytes: int
    clients: int
    most_bytes: int

    def is_much_more_than(self, before: "_Load") -> bool:
        grown_bytes = self.used_bytes - before.used_bytes
        return grown_bytes > self.most_bytes // 4 or self.clients - before.clients > _MANY_CLIENTS
