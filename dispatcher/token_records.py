"""The tokens that `llamaq token create` has made: one HASH in Redis, id → claims. Never a token."""

import json
import logging
import time
from collections.abc import Mapping
from typing import Any

from dispatcher.connection import LinkedRedis
from dispatcher.keys import TOKENS

MOST_TOKENS = 10_000

log = logging.getLogger("llamaq.tokens")

Claims = Mapping[str, Any]


class TooManyTokens(Exception):
    """There is no room for another one."""


async def record_token(redis: LinkedRedis, claims: Claims) -> None:
    """Keeps the claims of a token, which has a `jti`, until it ends.

    Raises `TooManyTokens`, `RedisUnavailable` and `ResponseError`.
    """
    names = {name.decode(errors="replace") for name in await redis.link.call("HKEYS", TOKENS)}
    known = {str(record["jti"]) for record in await read_tokens(redis)}
    if over := names - known:
        await redis.link.call("HDEL", TOKENS, *over)
    if len(known) >= MOST_TOKENS:
        raise TooManyTokens(f"{MOST_TOKENS} tokens are recorded already")
    await redis.link.call("HSET", TOKENS, str(claims["jti"]), json.dumps(claims))


async def read_tokens(redis: LinkedRedis) -> list[Claims]:
    """The claims of those that have not ended, by their ends.

    What is no such record is left out, and logged. Raises `RedisUnavailable` and `ResponseError`.
    """
    said = await redis.link.call("HGETALL", TOKENS)
    records = [_read(*pair) for pair in zip(said[::2], said[1::2], strict=True)]
    now = time.time()
    good = [record for record in records if record is not None and record["exp"] > now]
    return sorted(good, key=lambda record: int(record["exp"]))


def _read(name: bytes, value: bytes) -> Claims | None:
    try:
        claims = json.loads(value)
        is_record = isinstance(claims, dict) and claims.get("jti") == name.decode()
        if is_record and isinstance(claims.get("sub"), str) and isinstance(claims.get("exp"), int):
            return dict(claims)
    except (ValueError, RecursionError):
        pass
    log.error("%r in %s is left out: it is no record of a token", name[:80], TOKENS)
    return None
