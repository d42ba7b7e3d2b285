"""What end users have used, as one Redis has it."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from redis.asyncio import Redis
from redis.exceptions import RedisError

from dispatcher.keys import Keys
from dispatcher.usage import Used, read_used

Sums = dict[str, Used]
"""By `tenant|user`."""


async def read_sums(redis: Redis, model: str, timeout_s: float = 20) -> Sums:
    """Waits until Redis has read what it has on disk."""
    async with asyncio.timeout(timeout_s):
        while True:
            with suppress(RedisError, OSError):
                return await _read(redis, Keys(model).named("usage_users", "*"))
            await asyncio.sleep(0.02)


async def _read(redis: Redis, pattern: str) -> Sums:
    sums: Sums = {}
    for key in await redis.keys(pattern):
        found = await redis.hgetall(key)
        add(sums, {user.decode(): read_used(text) for user, text in found.items()})
    return sums


def add(sums: Sums, more: Mapping[str, Used], sign: int = 1) -> None:
    """Adds to these sums, or takes from them."""
    for name, used in more.items():
        here = sums.get(name, Used())
        values = [getattr(here, each) + sign * getattr(used, each) for each in Used.__slots__]
        sums[name] = Used(*values)
