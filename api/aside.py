"""Does long work beside the event loop, which serves others meanwhile."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from typing import ParamSpec, TypeVar

from api.turns import Gate

LARGE_BYTES = 128 * 1024
"""A body of this size takes milliseconds to read and check."""

P = ParamSpec("P")
T = TypeVar("T")
_WITH_OTHERS = nullcontext()
_beside = ThreadPoolExecutor(1, "large-bodies")


class Aside:
    """A thread for work on large bodies. More threads would only compete for the processor."""

    def __init__(self) -> None:
        self._gate = Gate()

    def alone(self, tenant: str, size_bytes: int) -> AbstractAsyncContextManager[None]:
        """Within it no other large body is read: reading takes several times the body's size in
        memory.
        """
        return _WITH_OTHERS if size_bytes < LARGE_BYTES else self._gate.alone(tenant)

    async def run(
        self, size_bytes: int, work: Callable[P, T], *arguments: P.args, **named: P.kwargs
    ) -> T:
        """The result of `work`, done in the thread if it is work on many bytes."""
        if size_bytes < LARGE_BYTES:
            return work(*arguments, **named)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(_beside, partial(work, *arguments, **named))
