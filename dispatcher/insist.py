"""Repeats a call until Redis answers it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from redis.exceptions import ResponseError

from dispatcher.errors import RedisUnavailable

_Answer = TypeVar("_Answer")

RETRY_S = 0.2
_TRIES = 3


async def wait_out(call: Callable[[], Awaitable[_Answer]]) -> _Answer:
    """The answer of a call that may be repeated. Waits out an outage of Redis."""
    while True:
        try:
            return await call()
        except RedisUnavailable:
            await asyncio.sleep(RETRY_S)


async def insist(call: Callable[[], Awaitable[_Answer]], what: str, log: logging.Logger) -> _Answer:
    """As `wait_out`, but tries a script that fails three times. `what` names it in the log."""
    for tries in range(1, _TRIES):
        try:
            return await wait_out(call)
        except ResponseError as error:
            log.error("The script %s failed: %r", what, error)
            await asyncio.sleep(RETRY_S * tries)
    return await wait_out(call)
