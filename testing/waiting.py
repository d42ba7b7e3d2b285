"""Waits for what a test can't be told of, with a bound for a busy machine."""

import asyncio
import inspect
import time
from collections.abc import Callable

BOUND_S = 30.0


def wait_until(
    condition: Callable[[], object], timeout_s: float = BOUND_S, every_s: float = 0.02
) -> float:
    """Waits until the condition holds; returns how many seconds that took, fails if it doesn't."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < timeout_s, f"not within {timeout_s} s"
        time.sleep(every_s)
    return time.monotonic() - started


async def until(condition: Callable[[], object], timeout_s: float = BOUND_S) -> float:
    """`wait_until` for an event loop. The condition may be async."""
    started = time.monotonic()
    async with asyncio.timeout(timeout_s):
        while not await _result(condition):  # noqa: ASYNC110 - nobody sets an event
            await asyncio.sleep(0.01)
    return time.monotonic() - started


async def _result(condition: Callable[[], object]) -> object:
    found = condition()
    return await found if inspect.isawaitable(found) else found
