"""Waits for conditions on Redis."""

import asyncio
from collections.abc import Awaitable, Callable


async def until(condition: Callable[[], Awaitable[bool]], timeout_s: float = 10) -> None:
    """Returns when the condition holds; fails if that takes too long."""
    async with asyncio.timeout(timeout_s):
        while not await condition():  # noqa: ASYNC110 - Redis sets no event
            await asyncio.sleep(0.005)
