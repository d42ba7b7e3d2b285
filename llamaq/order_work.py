"""What `llamaq drain`, `resume` and `cancel` do with the queue's Redis."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any

import click

from dispatcher import orders
from dispatcher.connection import LinkedRedis
from dispatcher.orders import JobOrder, UnknownName, WorkerOrder
from dispatcher.registry import read_models
from llamaq.queue_redis import queue_redis

_LOOK_S = 1.0


async def drain(
    worker: str, *, wait: bool, tell: Callable[[str], None], redis_url: str
) -> tuple[list[WorkerOrder], list[str]]:
    """Drains it. Returns the orders, and warnings for people.

    With `wait` it returns when no job runs there, and meanwhile tells how many do.

    Raises `click.ClickException` for a name that nobody has, and `RedisUnavailable`, as all here.
    """
    async with _orders_in(redis_url) as redis:
        given = await orders.drain(redis, worker)
        warnings = await _warnings(redis, given)
        if wait:
            await _until_idle(redis, {order.worker for order in given}, tell)
        return given, warnings


async def resume(worker: str, redis_url: str) -> list[WorkerOrder]:
    """Resumes it; returns the orders."""
    async with _orders_in(redis_url) as redis:
        return await orders.resume(redis, worker)


async def cancel(job: str, redis_url: str) -> list[JobOrder]:
    """Cancels it; returns what the jobs were."""
    async with _orders_in(redis_url) as redis:
        return await orders.cancel(redis, job)


def rows(given: Sequence[WorkerOrder | JobOrder]) -> list[dict[str, Any]]:
    """The orders for programs."""
    return [asdict(order) | {"is_news": order.is_news} for order in given]


async def _warnings(redis: LinkedRedis, given: Sequence[WorkerOrder]) -> list[str]:
    ordered, warnings = {order.worker for order in given}, []
    for state in await read_models(redis):
        drained = [worker for worker in state.workers if worker.id in ordered]
        if drained and not state.accepting:
            warnings.append(
                f"no other worker of the model '{state.model}' takes jobs: its requests wait for "
                "LLAMAQ_MODEL_GRACE_S (30 s) and then get 503."
            )
        warnings += [
            f"the bridge of {worker.id} is of an older version, which ignores orders: update it."
            for worker in drained
            if worker.place == worker.id  # it has told none
        ]
    return warnings


async def _until_idle(redis: LinkedRedis, workers: set[str], tell: Callable[[str], None]) -> None:
    """Returns when no job runs on them. Workers that are gone have none."""
    said = 0
    while running := await _running_on(redis, workers):
        if running != said:
            tell(f"{running} {'job runs' if running == 1 else 'jobs run'} still")
            said = running
        await asyncio.sleep(_LOOK_S)


async def _running_on(redis: LinkedRedis, workers: set[str]) -> int:
    models = await read_models(redis)
    return sum(one.running for state in models for one in state.workers if one.id in workers)


@asynccontextmanager
async def _orders_in(redis_url: str) -> AsyncIterator[LinkedRedis]:
    async with queue_redis(redis_url, refused="the order") as redis:
        try:
            yield redis
        except UnknownName as error:
            hint = "" if error.nearest else " `llamaq status` shows what there is."
            raise click.ClickException(error.message + hint) from error
