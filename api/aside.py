"""Does long work beside the event loop, which serves others meanwhile."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from typing import Any, ParamSpec, TypeVar

LARGE_BYTES = 128 * 1024
"""A body of this size takes milliseconds to read and check."""

P = ParamSpec("P")
T = TypeVar("T")
_beside = ThreadPoolExecutor(1, "large-bodies")


class Aside:
    """A thread for work on large bodies. More would only take the processor from each other."""

    def __init__(self) -> None:
        self._alone = asyncio.Lock()

    def alone(self, size_bytes: int) -> AbstractAsyncContextManager[Any]:
        """Within it there is no other request with a large body: while it is read, a body takes the
        memory several times.
        """
        return self._alone if size_bytes >= LARGE_BYTES else nullcontext()

    async def run(
        self, size_bytes: int, work: Callable[P, T], *arguments: P.args, **named: P.kwargs
    ) -> T:
        """The result of work on so many bytes, done in the thread where they are many."""
        if size_bytes < LARGE_BYTES:
            return work(*arguments, **named)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(_beside, partial(work, *arguments, **named))
