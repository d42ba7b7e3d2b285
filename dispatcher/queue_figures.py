"""What Redis knows of queues, models and itself, at the moment of a scrape."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress

from redis.exceptions import ResponseError

from dispatcher import metrics
from dispatcher.commands import Commands
from dispatcher.connection import LinkedRedis, redis_faults
from dispatcher.errors import RedisUnavailable
from dispatcher.facts import FAILED, LOADING, UNLOADED
from dispatcher.keys import Keys
from dispatcher.metric import OTHER
from dispatcher.model_state import ModelState
from dispatcher.sheet import Sheet
from dispatcher.tier import Tier

MOST_MODELS = 100
_LONGEST_S = 3.0  # a scrape is given up after 10 s
_TIERS = tuple(tier.value for tier in Tier)
_HEALTHS = frozenset(
    {
        *("starting", "loading", "healthy", "overloaded", "suspect", "wedged", "down"),
        *("misconfigured", "incomplete", "draining", "giving way", "drained", "paused"),
        *(UNLOADED, LOADING, FAILED),
    }
)
"""The words that bridges have for the health of a worker, and operators for what they ordered."""


async def read_figures(redis: LinkedRedis, models: Iterable[ModelState]) -> Sheet:
    """The first models by name; others have no series. Without Redis only that it is away."""
    sheet = Sheet()
    try:
        shown = sorted(models, key=lambda state: state.model)[:MOST_MODELS]
        async with asyncio.timeout(_LONGEST_S):
            looks = (_read(redis, state, sheet) for state in shown)
            await asyncio.gather(_read_memory(redis, sheet), *looks)
    except (RedisUnavailable, TimeoutError):
        sheet = Sheet()
        sheet.add(metrics.REDIS_UP, 0)
    else:
        sheet.add(metrics.REDIS_UP, 1)
    return sheet


async def _read_memory(redis: LinkedRedis, sheet: Sheet) -> None:
    with suppress(ResponseError), redis_faults():  # not every Redis tells
        about = await redis.info("memory")
        sheet.add(metrics.REDIS_MEMORY, about["used_memory"])
        sheet.add(metrics.REDIS_LIMIT, about.get("maxmemory", 0))


async def _read(redis: LinkedRedis, state: ModelState, sheet: Sheet) -> None:
    model = state.model
    _add_workers(state, sheet)
    sheet.add(metrics.QUEUED_BYTES, state.queued_bytes, model)
    commands = Commands(redis, Keys(model))
    commands.keep_apart(is_apart=bool(state.invited))
    try:
        rows = await commands.waiting_by_tier(_TIERS)
    except ResponseError:  # the queue is damaged: that is told elsewhere
        return
    except RedisUnavailable:
        if state.invited:  # what invited machines write harms no other model
            return
        raise
    for tier, (jobs, ms) in zip(_TIERS, rows, strict=True):
        sheet.add(metrics.QUEUED_JOBS, jobs, model, tier)
        sheet.add(metrics.OLDEST_AGE, ms / 1000, model, tier)


def _add_workers(state: ModelState, sheet: Sheet) -> None:
    accepting = [worker for worker in state.workers if worker.accepting and worker.is_understood]
    standing_by = [worker for worker in state.workers if worker.is_standby]
    able = len(accepting) + sum(not worker.has_failed for worker in standing_by)
    model = state.model
    sheet.add(metrics.ACCEPTING_WORKERS, able, model)
    sheet.add(metrics.MODEL_SLOTS, sum(worker.slots for worker in accepting), model)
    sheet.add(metrics.MODEL_BUSY_SLOTS, sum(worker.running for worker in state.workers), model)
    opened = sum(worker.breaker == "open" for worker in state.workers)
    sheet.add(metrics.OPEN_BREAKERS, opened, model)
    for worker in state.workers:
        health = worker.condition if worker.condition in _HEALTHS else OTHER
        sheet.add(metrics.MODEL_WORKERS, 1, model, health)
