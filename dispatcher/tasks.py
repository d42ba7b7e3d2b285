"""What asyncio has no short name for."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any

log = logging.getLogger("llamaq.tasks")

_AGAIN_S = 0.1
_BEGIN_AGAIN_S = 1.0


async def go_on(
    name: str, work: Callable[[], Awaitable[None]], *, ended_by: type[Exception] | None = None
) -> None:
    """Does the work for ever: a failure is logged, and the work begins again a second later.

    Only an exception of the kind `ended_by` ends it.
    """
    while True:
        try:
            await work()
        except Exception as error:
            if ended_by is not None and isinstance(error, ended_by):
                raise
            log.exception("The %s failed, and begins again", name)
        await asyncio.sleep(_BEGIN_AGAIN_S)


def log_failure(task: asyncio.Task[Any]) -> None:
    """For `add_done_callback`: no task ends by an exception unseen."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("A background task failed", exc_info=error)


async def first_of(*works: Coroutine[Any, Any, Any]) -> None:
    """Runs all until one ends, then cancels the others; raises what the first one raised.

    What the others raise counts for nothing.
    """
    tasks = [asyncio.create_task(work) for work in works]
    for task in tasks:
        task.add_done_callback(_heard)  # whoever cancels this: else the loop would report it
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await cancel(tasks)
    for task in done:
        task.result()


def _heard(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()


async def cancel(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancels tasks and waits for their end.

    It asks again and again: redis-py 8.1 swallows one in ten cancellations of a command in flight.
    """
    left = {task for task in tasks if not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=_AGAIN_S)
