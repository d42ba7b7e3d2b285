"""The names under which requests for a model come: kept for a day, longer than its workers."""

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
FIRST_SERVED = "first_served_s"
_MOST = 64  # whatever its workers call themselves within a day


async def announce(link: Link, keys: Keys, facts: WorkerFacts, now_s: int, *, is_new: bool) -> bool:
    """Says that the model of `keys` is served at this time, under its own name and the worker's
    aliases. A worker that `is_new` also says since when, unless another one has said it.

    An invited machine says nothing: the APIs see that it serves the model it was invited to.

    Returns whether Redis has heard it. Redis may be away, or refuse it at `maxmemory`: the next
    renewal says it again.
    """
    if link.invited:
        return True
    try:
        with suppress(RedisUnavailable):
            await _announce(link, keys, facts.aliases.split(), now_s, is_new)
            return True
    except ResponseError as error:
        log.error("The names of the model %s can't be announced: %r", keys.model, error)
    return False


async def _announce(link: Link, keys: Keys, aliases: list[str], now_s: int, is_new: bool) -> None:
    said = [link.call("ZADD", MODELS, now_s, keys.model)]
    if is_new:
        said.append(link.call("HSETNX", keys.named("counters"), FIRST_SERVED, now_s))
    if aliases:
        known = keys.aliases
        said += [
            link.call("ZADD", known, *(word for alias in aliases for word in (now_s, alias))),
            link.call("ZREMRANGEBYRANK", known, 0, -_MOST - 1),
            link.call("EXPIRE", known, REMEMBERED_S),
        ]
    for answer in await asyncio.gather(*said, return_exceptions=True):
        if isinstance(answer, BaseException):
            raise answer
