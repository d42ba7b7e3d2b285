"""Runs the scripts of lua/*.lua for one model. The contract of each heads its file."""

from typing import Any

from redis.asyncio import Redis
from redis.commands.core import AsyncScript

from dispatcher import script_text
from dispatcher.connection import answer_in_time
from dispatcher.keys import Keys
from dispatcher.protocol import PROTOCOL

Arg = str | bytes | int | float


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
            text = script_text.script_text(name, *self._about)
            # Loaded before its first use: the way over a NOSCRIPT error is for restarted servers.
            async with answer_in_time():
                await self.redis.script_load(text)
            script = self._loaded[name] = self.redis.register_script(text)
        async with answer_in_time():
            answer = await script(keys=[self.keys.prefix], args=args)
        return list(answer)
