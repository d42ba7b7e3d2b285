"""Under which names requests for a model come: kept for a day, so that they outlive its workers."""

import logging
from contextlib import suppress
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from dispatcher.connection import redis_faults
from dispatcher.errors import RedisUnavailable
from dispatcher.facts import WorkerFacts
from dispatcher.keys import MODELS, Keys

log = logging.getLogger("llamaq.announcement")

REMEMBERED_S = 24 * 3600
_MOST = 64  # whatever its workers call themselves within a day


async def announce(redis: Redis, keys: Keys, facts: WorkerFacts) -> None:
    """Says that the model of `keys` is served now, by its own name and the worker's aliases.

    Redis may refuse it, at `maxmemory`, or be away: the next renewal says it again.
    """
    try:
        with suppress(RedisUnavailable), redis_faults():
            await _announce(redis, keys, facts.aliases.split())
    except ResponseError as error:
        log.error("The names of the model %s can't be announced: %r", keys.model, error)


async def _announce(redis: Redis, keys: Keys, aliases: list[str]) -> None:
    time: Any = await redis.time()
    now = time[0]
    pipe = redis.pipeline(transaction=False)
    pipe.zadd(MODELS, {keys.model: now})
    if aliases:
        known = keys.named("aliases")
        pipe.zadd(known, dict.fromkeys(aliases, now))
        pipe.zremrangebyrank(known, 0, -_MOST - 1)
        pipe.expire(known, REMEMBERED_S)
    await pipe.execute()
