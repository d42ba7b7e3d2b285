"""Two things that asyncio has no short word for."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

_AGAIN_S = 0.1


async def first_of(*works: Coroutine[Any, Any, Any]) -> None:
    """Runs all until one ends, then cancels the others; raises what the first one raised."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await cancel(tasks)
    for task in done:
        task.result()


async def cancel(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancels tasks and waits for their end.

    It asks again and again: redis-py 8.1 swallows one cancellation in ten of a command in flight.
    """
    left = {task for task in tasks if not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=_AGAIN_S)
