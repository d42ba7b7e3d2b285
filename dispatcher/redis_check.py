"""Can this Redis hold the queue? Asked when a process starts; what is wrong then ends it."""

import asyncio
import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from redis.asyncio import Redis
from redis.exceptions import (
    AskError,
    AuthenticationError,
    InvalidResponse,
    NoPermissionError,
)
from redis.exceptions import ConnectionError as RedisConnectionError

from dispatcher.connection import LinkedRedis, open_redis, redis_faults
from dispatcher.errors import RedisUnavailable
from dispatcher.keys import MODELS, WRITABLE
from dispatcher.redis_advice import CLUSTER, eviction, refusal, warnings
from dispatcher.redis_facts import RedisFacts, read_redis_facts
from dispatcher.sentinels import unknown

if TYPE_CHECKING:
    from dispatcher.settings import QueueSettings

log = logging.getLogger("llamaq.redis")

_AGAIN_S = 2.0
_WRITE = "return redis.call('SET', KEYS[1], 1, 'PX', 60000)"
_NOT_INVITED = (
    "Redis does not know this machine, {0!r}, by this secret: its invitation has ended, or the "
    "secret is wrong. Ask for a new line, which `llamaq invite {0} --model MODEL` prints."
)


class UnfitRedis(Exception):
    """This Redis can't hold the queue. The message tells its operator what to do."""


async def check_at_start(settings: "QueueSettings") -> None:
    """Raises `UnfitRedis`, and logs what may go wrong one day.

    A server that is away now is waited for by `check_when_back`.
    """
    with suppress(RedisUnavailable):  # whoever goes on reports it
        await _check(settings, warns=True)


async def check_when_back(settings: "QueueSettings") -> None:
    """Returns when the server has passed. Until then it logs what is wrong.

    It ends nothing: requests may have been accepted meanwhile.
    """
    was_away = False
    while True:
        try:
            await _check(settings, warns=was_away)
        except RedisUnavailable as error:
            log.warning("%s", error.message)
        except UnfitRedis as error:
            log.error("%s", error)
        else:
            return
        was_away = True
        await asyncio.sleep(_AGAIN_S)


async def _check(settings: "QueueSettings", *, warns: bool) -> None:
    redis = open_redis(settings.redis_url.get_secret_value())
    try:
        await check_redis(redis, may_evict=settings.allow_eviction, warns=warns)
    finally:  # a second cancellation would leave its connections open
        await asyncio.shield(asyncio.ensure_future(redis.aclose()))


async def check_redis(redis: LinkedRedis, *, may_evict: bool, warns: bool = False) -> None:
    """Raises `UnfitRedis`, or `RedisUnavailable` where the server does not answer or write now.

    It logs what may go wrong one day if it `warns`. A server that hides its configuration, as
    managed ones do, is believed. An invited machine only sees whether it may log in.
    """
    if redis.link.invited:
        await _check_login(redis, redis.link.invited)
        return
    facts = await _fit(redis, may_evict=may_evict)
    if warns:
        allowed = [remark for remark in [eviction(facts)] if remark]
        for remark in [*allowed, *warnings(facts, behind_sentinels=redis.sentinels is not None)]:
            log.warning("%s", remark)
    try:
        await check_writes(redis)
    except RedisUnavailable as error:
        raise _unfit(error) or error from error.__cause__


async def check_kind(redis: LinkedRedis) -> None:
    """Raises `UnfitRedis` for a wrong password, Redis Cluster, a Sentinel, and what is no Redis.

    Raises `RedisUnavailable` where it does not answer.
    """
    await _fit(redis, may_evict=True)


async def _fit(redis: LinkedRedis, *, may_evict: bool) -> RedisFacts:
    try:
        if redis.sentinels is not None and (problem := unknown(await redis.sentinels.ask_all())):
            raise UnfitRedis(problem)
        facts = await read_redis_facts(redis)
        if remark := refusal(facts, may_evict=may_evict):
            raise UnfitRedis(str(remark))
        with redis_faults():
            await redis.exists(MODELS)
    except RedisUnavailable as error:
        raise _unfit(error) or error from error.__cause__
    return facts


async def _check_login(redis: Redis, machine: str) -> None:
    try:
        with redis_faults():
            await redis.ping()
    except RedisUnavailable as error:
        unfit = _unfit(error)
        if unfit is not None and "refuses the login" in str(unfit):
            raise UnfitRedis(_NOT_INVITED.format(machine)) from error
        raise unfit or error from error.__cause__


async def check_writes(redis: Redis) -> None:
    """Raises `RedisUnavailable` where a script can't write.

    The memory or the disk is full, the server is a replica, or the user lacks the permission.
    """
    with redis_faults():
        await redis.eval(_WRITE, 1, WRITABLE)


class WriteProbe:
    """`check_writes` for many callers: at the same time they share one look."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._looked_at = float("-inf")
        self._refusal: RedisUnavailable | None = None
        self._looking = asyncio.Lock()

    async def check(self, max_age_s: float = 0.0) -> None:
        """Raises `RedisUnavailable`. A look that is no older than this is enough."""
        asked_at = time.monotonic() - max_age_s
        async with self._looking:
            if self._looked_at < asked_at:
                self._looked_at = time.monotonic()
                self._refusal = await self._look()
            refusal = self._refusal
        if refusal is not None:
            raise RedisUnavailable(refusal.message)

    async def _look(self) -> RedisUnavailable | None:
        try:
            await check_writes(self._redis)
        except RedisUnavailable as error:
            return error
        return None


def _unfit(error: RedisUnavailable) -> UnfitRedis | None:
    """What no waiting cures, in words for the operator."""
    cause = error.__cause__
    if isinstance(cause, RedisConnectionError) and cause.__cause__ is not None:
        cause = cause.__cause__  # what it met while it connected
    if isinstance(cause, AuthenticationError):
        return UnfitRedis(
            f"Redis refuses the login of LLAMAQ_REDIS_URL ({cause}). Write the right password "
            "into it: redis://:PASSWORD@HOST:PORT/0, or redis://USER:PASSWORD@HOST:PORT/0."
        )
    if isinstance(cause, InvalidResponse):
        return UnfitRedis(
            "What listens at the address of LLAMAQ_REDIS_URL does not speak as Redis does "
            f"({cause}). Check its host and port."
        )
    if isinstance(cause, AskError):  # MOVED too
        return UnfitRedis(str(CLUSTER))
    if isinstance(cause, NoPermissionError) or "NOPERM" in str(cause):
        return UnfitRedis(
            f"The user of LLAMAQ_REDIS_URL may not do what llamaq needs ({cause}). "
            "Run: ACL SETUSER NAME ~llamaq:* +@all"
        )
    return None
