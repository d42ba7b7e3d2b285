"""What `llamaq doctor` asks Redis."""

import os
import time
from contextlib import aclosing
from dataclasses import replace
from statistics import median

from redis.exceptions import ResponseError

from dispatcher.connection import LinkedRedis, open_redis
from dispatcher.errors import RedisUnavailable
from dispatcher.keys import Keys
from dispatcher.model_state import ModelState
from dispatcher.redis_check import UnfitRedis, check_redis
from dispatcher.redis_clock import redis_now_ms
from dispatcher.redis_facts import read_redis_facts
from dispatcher.redis_login import masked
from dispatcher.registry import ask_for_each, read_registry
from dispatcher.revocations import Revocations
from dispatcher.token_records import read_tokens
from llamaq.doctor_facts import QueueLook, RedisLook, TokenRecord

_PINGS = 5
_MOST_APIS = 100
_AWAY = "Start it, or correct LLAMAQ_REDIS_URL (or REDIS_URL): host, port and password."
_YES = frozenset({"1", "true", "yes", "on"})

Looks = tuple[RedisLook, QueueLook, list[TokenRecord]]


async def look_at_redis(url: str) -> Looks:
    """Everything that Redis knows. If it does not answer, that is a `problem`, and not raised."""
    async with aclosing(open_redis(url)) as redis:
        allows = os.environ.get("LLAMAQ_ALLOW_EVICTION", "").lower() in _YES
        look = RedisLook(masked(url), allows_eviction=allows)
        if redis.sentinels is not None:
            told = await redis.sentinels.ask_all()
            look = replace(look, is_behind_sentinels=True, sentinels=told)
        try:
            return await _look(redis, look)
        except UnfitRedis as error:
            look = replace(look, problem=str(error))
        except (RedisUnavailable, ResponseError) as error:
            look = replace(look, problem=str(error), advice=_AWAY)
        return look, QueueLook(), []


async def _look(redis: LinkedRedis, look: RedisLook) -> Looks:
    refusal = await _refusal(redis)
    facts = await read_redis_facts(redis)
    latency_ms, ahead_s = await _measured(redis)
    look = replace(look, refusal=refusal, facts=facts, latency_ms=latency_ms, ahead_s=ahead_s)
    if redis.link.invited:
        return look, QueueLook(is_hidden=True), []
    models = (await read_registry(redis)).models
    protocols = {each.model: await _protocols(redis, each) for each in models}
    return look, QueueLook(models, protocols), await _records(redis)


async def _refusal(redis: LinkedRedis) -> str:
    """Why it takes no writes. Raises `UnfitRedis`, and `RedisUnavailable` where it is away."""
    try:
        await check_redis(redis, may_evict=True)
    except RedisUnavailable as error:
        await redis.link.call("TIME")  # a full disk refuses PING
        return error.message
    return ""


async def _measured(redis: LinkedRedis) -> tuple[float, float]:
    """Milliseconds until it answers, and by how many seconds our clock is ahead of its own."""
    took_s, ahead_s = [], []
    for _ in range(_PINGS):
        began, at = time.monotonic(), time.time()
        now_ms = await redis_now_ms(redis.link)
        took_s.append(time.monotonic() - began)
        ahead_s.append(at + took_s[-1] / 2 - now_ms / 1000)
    return median(took_s) * 1000, median(ahead_s)


async def _protocols(redis: LinkedRedis, model: ModelState) -> list[int]:
    """The protocols of the live APIs; none where an invited machine could have written them."""
    if model.invited:
        return []
    keys, now_ms = Keys(model.model), time.time() * 1000
    live = await redis.link.call(
        *("ZRANGEBYSCORE", keys.named("apis"), now_ms, "+inf", "LIMIT", 0, _MOST_APIS)
    )
    asked = [("HGET", keys.named("api", api.decode(errors="replace")), "protocol") for api in live]
    told = await ask_for_each(redis.link, asked)
    return [int(each) for each in told if isinstance(each, bytes) and each.isdigit()]


async def _records(redis: LinkedRedis) -> list[TokenRecord]:
    revoked = Revocations()
    await revoked.read(redis)
    now = time.time()
    return [
        TokenRecord(
            str(each["sub"]),
            each["exp"] - now,
            revoked.forbid(each["jti"], each["sub"], each.get("iat", 0)),
        )
        for each in await read_tokens(redis)
    ]
