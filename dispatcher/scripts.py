"""Runs the scripts of lua/*.lua on some keys. The head of each file is its contract."""

import asyncio
from typing import Any

from dispatcher import script_text
from dispatcher.connection import LinkedRedis
from dispatcher.keys import KeptKeys, Keys
from dispatcher.link import Link
from dispatcher.protocol import PROTOCOL
from dispatcher.redis_address import Arg


class Scripts:
    """The scripts on the keys of one model, or on those of kept answers.

    For tests `clock_offset_ms` moves the scripts' clock, which is Redis' own, and `protocol` is
    another version than this build's. `run` raises `RedisUnavailable`; a script whose reply was
    lost may be run again with the same arguments. It raises `ResponseError` where a script fails.
    """

    def __init__(
        self,
        redis: LinkedRedis,
        keys: Keys | KeptKeys,
        clock_offset_ms: int = 0,
        protocol: int = PROTOCOL,
    ) -> None:
        self.redis = redis
        self.link = redis.link
        self.keys = keys
        self._about = clock_offset_ms, protocol
        self._prefix = keys.prefix.encode()
        self._names: dict[str, str] = {}  # in Redis

    def run(self, name: str, *args: Arg) -> asyncio.Future[list[Any]]:
        """Runs lua/<name>.lua; strings come back as bytes.

        Scripts that are run in the same tick of the event loop are sent together, in this order.
        """
        known = self._names.get(name) or self._load(name)
        return self.link.call("EVALSHA", known, 1, self._prefix, *args)

    def use(self, link: Link) -> None:
        """Sends what is run from now on over this link."""
        if link is not self.link:
            self.link = link
            self._names.clear()

    def _load(self, name: str) -> str:
        text = script_text.script_text(name, *self._about)
        known = self._names[name] = self.link.load(text)
        return known
