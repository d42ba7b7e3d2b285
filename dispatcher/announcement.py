"""Under which names requests for a model come: kept for a day, so that they outlive its workers."""

import asyncio
import logging
from contextlib import suppress

from redis.exceptions import ResponseError

from dispatcher.errors import RedisUnavailable
from dispatcher.facts import WorkerFacts
from dispatcher.keys import MODELS, Keys
from dispatcher.link import Link

log = logging.getLogger("llamaq.announcement")

REMEMBERED_S = 24 * 3600
_MOST = 64  # whatever its workers call themselves within a day


async def announce(link: Link, keys: Keys, facts: WorkerFacts, now_s: int) -> None:
    """Says that the model of `keys` is served at this time, by its own name and the worker's
    aliases.

    Redis may refuse it, at `maxmemory`, or be away: the next renewal says it again.
    """
    try:
        with suppress(RedisUnavailable):
            await _announce(link, keys, facts.aliases.split(), now_s)
    except ResponseError as error:
        log.error("The names of the model %s can't be announced: %r", keys.model, error)


async def _announce(link: Link, keys: Keys, aliases: list[str], now_s: int) -> None:
    said = [link.call("ZADD", MODELS, now_s, keys.model)]
    if aliases:
        known = keys.named("aliases")
        said += [
            link.call("ZADD", known, *(word for alias in aliases for word in (now_s, alias))),
            link.call("ZREMRANGEBYRANK", known, 0, -_MOST - 1),
            link.call("EXPIRE", known, REMEMBERED_S),
        ]
    for answer in await asyncio.gather(*said, return_exceptions=True):
        if isinstance(answer, BaseException):
            raise answer
