"""Loads lua/*.lua and runs them for one model. The contract of each script heads its file."""

from functools import cache
from importlib.resources import files
from typing import Any

from redis.asyncio import Redis
from redis.commands.core import AsyncScript

from dispatcher.connection import answer_in_time
from dispatcher.keys import NAMES, Keys
from dispatcher.protocol import PROTOCOL
from dispatcher.tier import Tier

Arg = str | bytes | int | float

_READING = ("common", "soundness")
_QUEUEING = (*_READING, "fairness", "queueing", "retiring")
_CLAIMING = (*_QUEUEING, "protocol", "leaving", "candidates", "claiming")
_PARTS = {
    "emit": ("common",),
    "position": (*_READING, "fairness"),
    "enqueue": (*_QUEUEING, "admission"),
    "cancel": _QUEUEING,
    "resume": (*_QUEUEING, "recovering"),
    "release": (*_QUEUEING, "recovering"),
    "register": (*_QUEUEING, "recovering", "protocol"),
    "renew": (*_QUEUEING, "recovering", "protocol"),
    "reap": (*_QUEUEING, "recovering", "recount"),
    "claim": _CLAIMING,
    "finish": _CLAIMING,
}


@cache
def _source(name: str) -> str:
    return (files("dispatcher") / "lua" / f"{name}.lua").read_text()


@cache
def _script_text(name: str, clock_offset_ms: int, protocol: int) -> str:
    names = ", ".join(f"{name} = P .. '{ending}'" for name, ending in NAMES.items())
    weights = ", ".join(f"{tier} = {tier.weight}" for tier in Tier)
    head = (
        f"local P = KEYS[1]\nlocal K = {{{names}}}\n"
        f"local TIER_WEIGHTS = {{{weights}}}\nlocal CLOCK_OFFSET_MS = {clock_offset_ms}\n"
        f"local PROTOCOL = {protocol}\n"
    )
    return head + "".join(map(_source, (*_PARTS.get(name, _QUEUEING), name)))


class Scripts:
    """The queue's scripts on the keys of one model.

    For tests `clock_offset_ms` moves the scripts' clock, which is Redis' own, and `protocol` is
    another version than this build's. `run` raises `RedisUnavailable`; a script whose reply was
    lost may be run again with the same arguments. It raises `ResponseError` where a script fails.
    """

    def __init__(
        self, redis: Redis, keys: Keys, clock_offset_ms: int = 0, protocol: int = PROTOCOL
    ) -> None:
        self.redis = redis
        self.keys = keys
        self._about = clock_offset_ms, protocol
        self._loaded: dict[str, AsyncScript] = {}

    async def run(self, name: str, *args: Arg) -> list[Any]:
        """Runs lua/<name>.lua; strings come back as bytes."""
        script = self._loaded.get(name)
        if script is None:
            text = _script_text(name, *self._about)
            # Loaded before its first use: the way over a NOSCRIPT error is for restarted servers.
            async with answer_in_time():
                await self.redis.script_load(text)
            script = self._loaded[name] = self.redis.register_script(text)
        async with answer_in_time():
            answer = await script(keys=[self.keys.prefix], args=args)
        return list(answer)
