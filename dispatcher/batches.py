"""Calls in batches: one takes what comes in a tick, and while the call before is in flight."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from redis.exceptions import ResponseError

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

MOST = 64
"""Items of one call: no script runs for long."""


class Batches(Generic[_Item, _Result]):
    """Hands items to `send` in batches, and each result to its caller.

    One batch is in flight at a time. `send` gets up to `most` items and returns their results in
    the same order. A result that is an exception is raised. A batch that fails with `ResponseError`
    is sent again item by item. An item of more than `most_bytes`, as `size` measures it, would hold
    up the others: it is sent at once, alone.
    """

    def __init__(
        self,
        send: Callable[[list[_Item]], Awaitable[Sequence[_Result | Exception]]],
        size: Callable[[_Item], int] = lambda _: 0,
        most_bytes: int = 2**14,
        most: int = MOST,
    ) -> None:
        self._send = send
        self._most = most
        self._size = size
        self._most_bytes = most_bytes
        self._waiting: deque[tuple[_Item, asyncio.Future[_Result]]] = deque()
        self._task: asyncio.Task[None] | None = None

    async def put(self, item: _Item) -> _Result:
        """The result of an item. Raises what `send` raises, or returns for it."""
        if self._size(item) > self._most_bytes:
            result = (await self._send([item]))[0]
            if isinstance(result, Exception):
                raise result
            return result
        return await self.add(item)

    def add(self, item: _Item) -> asyncio.Future[_Result]:
        """As `put`, but in a batch, whatever the size of the item."""
        result: asyncio.Future[_Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, result))
        if self._task is None:
            self._task = asyncio.create_task(self._send_all())
        return result

    async def _send_all(self) -> None:
        try:
            while self._waiting:
                await self._send_some()
        finally:
            self._task = None

    async def _send_some(self) -> None:
        batch: list[tuple[_Item, asyncio.Future[_Result]]] = []
        while self._waiting and len(batch) < self._most:
            item, result = self._waiting.popleft()
            if not result.done():  # else nobody waits for it any more
                batch.append((item, result))
        fault = await self._settle(batch) if batch else None
        if isinstance(fault, ResponseError) and len(batch) > 1:
            for pair in batch:
                await self._settle([pair], is_last=True)
        elif fault is not None:
            _fail(batch, fault)

    async def _settle(
        self, batch: list[tuple[_Item, "asyncio.Future[_Result]"]], *, is_last: bool = False
    ) -> Exception | None:
        """Returns what went wrong. If it `is_last`, the callers get that too."""
        try:
            results = await self._send([item for item, _ in batch])
        except Exception as fault:  # the callers get it
            if is_last:
                _fail(batch, fault)
            return fault
        for (_, future), result in zip(batch, results, strict=True):
            if future.done():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
        return None


def _fail(batch: list[tuple[_Item, "asyncio.Future[_Result]"]], fault: Exception) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(fault)
