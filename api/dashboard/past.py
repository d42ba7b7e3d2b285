"""The last hour and week, as the charts show them: read seldom, and once for all pages."""

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from dispatcher.connection import LinkedRedis
from dispatcher.figures import Done, Figures
from dispatcher.history import HOUR, WEEK, Row, Span, read_history
from dispatcher.latencies import Latencies
from dispatcher.redis_clock import redis_now_ms
from dispatcher.usage import known_models

_KEPT_S = 15.0
_MOST_MODELS = 50
_LATE_MS = 30_000
"""All processes have told of a minute that ended this long ago."""

_Read = Mapping[str, Sequence[Row]]


class Past:
    """Reads what processes have told, unless it was read lately."""

    def __init__(self, redis: LinkedRedis) -> None:
        self._redis = redis
        self._rows: _Read = {}
        self._read_at, self._now_ms = float("-inf"), 0
        self._reading = asyncio.Lock()

    async def tell(self, model: str, workers: Collection[str]) -> dict[str, Any]:
        """The figures of a model, or of all where that is "", and those of these live workers.

        Raises `RedisUnavailable`.
        """
        async with self._reading:
            if time.monotonic() - self._read_at > _KEPT_S:
                await self._look()
        chosen = [row for name, rows in self._rows.items() if model in ("", name) for row in rows]
        every = [row for rows in self._rows.values() for row in rows]
        return await asyncio.to_thread(_charts, model, chosen, every, workers, self._now_ms)

    async def _look(self) -> None:
        self._now_ms = await redis_now_ms(self._redis.link)
        models = (await known_models(self._redis))[:_MOST_MODELS]
        rows: dict[str, list[Row]] = {}
        for span in (HOUR, WEEK):
            for row in await read_history(self._redis, models, span, self._now_ms):
                rows.setdefault(row.model, []).append(row)
        self._rows, self._read_at = rows, time.monotonic()


def _charts(
    model: str, rows: Sequence[Row], every: Sequence[Row], workers: Collection[str], now_ms: int
) -> dict[str, Any]:
    return {
        "now_ms": now_ms,
        "model": model,
        "hour": steps(rows, HOUR, now_ms),
        "week": steps(rows, WEEK, now_ms),
        "workers": by_worker(every, workers, now_ms),
    }


def _within(rows: Sequence[Row], span: Span) -> list[Row]:
    return [row for row in rows if row.span is span]


def steps(rows: Sequence[Row], span: Span, now_ms: int) -> dict[str, Any]:
    """The sums of each step that is told of, the oldest first. Each `covers_ms` of time."""
    told_ms = now_ms - _LATE_MS
    last = told_ms // span.step_ms if span is WEEK else told_ms // span.step_ms - 1
    first = last - span.steps + 1
    sums = [Figures()] * span.steps
    for row in _within(rows, span):
        step = row.at_ms // span.step_ms - first
        if 0 <= step < span.steps:
            sums[step] += _of_an_api(row) if row.kind == "api" else _of_a_worker(row)
    ends_ms = (last + 1) * span.step_ms
    covered = [span.step_ms] * span.steps
    covered[-1] -= max(0, ends_ms - told_ms) // 60_000 * 60_000
    told = [
        {**_step_row(each), "covers_ms": max(60_000, ms)}
        for each, ms in zip(sums, covered, strict=True)
    ]
    return {"from_ms": first * span.step_ms, "step_ms": span.step_ms, "steps": told}


def _of_an_api(row: Row) -> Figures:
    """The requests and how long they took."""
    done = Done(row.figures.done.requests, row.figures.done.failed)
    return replace(row.figures, done=done)


def _of_a_worker(row: Row) -> Figures:
    """The tokens. Its requests are jobs, which an API tells of too."""
    return Figures(replace(row.figures.done, requests=0, failed=0))


def _step_row(figures: Figures) -> dict[str, Any]:
    done = figures.done
    return {
        "requests": done.requests,
        "failed": done.failed,
        "prompt": done.prompt,
        "cached": done.cached,
        "completion": done.completion,
        "first_token_ms": _quantiles(figures.first_token),
        "queued_ms": _quantiles(figures.queued),
    }


def _quantiles(latencies: Latencies) -> list[int | None]:
    """The median, and what 95 % take at most."""
    found = latencies.quantile_ms(0.5), latencies.quantile_ms(0.95)
    return [None if ms is None else round(ms) for ms in found]


def by_worker(rows: Sequence[Row], workers: Collection[str], now_ms: int) -> dict[str, Any]:
    """What each of these workers has done in a week. One that has begun again continues the figures
    of its earlier registrations, unless two live workers share the name.
    """
    stems = [stem(worker) for worker in workers]
    own: dict[str, list[Row]] = {}
    for row in _within(rows, WEEK):
        if row.kind == "worker":
            for name in (row.name, stem(row.name)):
                own.setdefault(name, []).append(row)
    alone = {worker: stems.count(stem(worker)) == 1 for worker in workers}
    return {
        worker: _week_of(own.get(stem(worker) if alone[worker] else worker, []), now_ms)
        for worker in workers
    }


def _week_of(rows: Sequence[Row], now_ms: int) -> dict[str, Any]:
    done = sum([row.figures.done for row in rows], Done())
    return {
        "requests": done.requests,
        "prompt": done.prompt,
        "cached": done.cached,
        "completion": done.completion,
        "tokens_per_s": _per_second(done.completion, done.busy_ms),
        "completion_by_hour": [each["completion"] for each in steps(rows, WEEK, now_ms)["steps"]],
    }


def _per_second(tokens: int, ms: int) -> float:
    return round(tokens * 1000 / ms, 1) if ms else 0.0


def stem(worker: str) -> str:
    """Its name without what tells two registrations apart.

    >>> stem("gpu-box-a1b2c3")
    'gpu-box'
    """
    return worker.rpartition("-")[0] or worker
