"""Does long work beside the event loop, which serves others meanwhile."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

LARGE_BYTES = 128 * 1024
"""A body of this size takes milliseconds to read and check."""

P = ParamSpec("P")
T = TypeVar("T")
_beside = ThreadPoolExecutor(1, "large-bodies")  # more would take the processor from each other


async def aside(size_bytes: int, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """The result of work on so many bytes, done in a thread where they are many."""
    if size_bytes < LARGE_BYTES:
        return work(*arguments, **named)
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_beside, partial(work, *arguments, **named))
