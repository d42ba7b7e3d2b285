"""The last hour and week, as the charts show them: read seldom, and once for all pages."""

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from dispatcher.connection import LinkedRedis
from dispatcher.figures import Done, Figures
from dispatcher.history import HOUR, WEEK, Row, Span, read_history
from dispatcher.usage import known_models

_KEPT_S = 15.0
_MOST_MODELS = 50

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
        spans = {"hour": HOUR, "week": WEEK}
        told: dict[str, Any] = {"now_ms": self._now_ms, "model": model}
        for name, span in spans.items():
            told[name] = steps(chosen, span, self._now_ms)
        told["workers"] = by_worker(chosen, workers, self._now_ms)
        return told

    async def _look(self) -> None:
        seconds, micros = await self._redis.link.call("TIME")
        self._now_ms = int(seconds) * 1000 + int(micros) // 1000
        models = (await known_models(self._redis))[:_MOST_MODELS]
        rows: dict[str, list[Row]] = {}
        for span in (HOUR, WEEK):
            for row in await read_history(self._redis, models, span, self._now_ms):
                rows.setdefault(row.model, []).append(row)
        self._rows, self._read_at = rows, time.monotonic()


def _of(rows: Sequence[Row], span: Span) -> list[Row]:
    return [row for row in rows if row.span is span]


def steps(rows: Sequence[Row], span: Span, now_ms: int) -> dict[str, Any]:
    """The sums of each step, the oldest first."""
    last = now_ms // span.step_ms
    first = last - span.steps + 1
    sums = [Figures()] * span.steps
    for row in _of(rows, span):
        step = row.at_ms // span.step_ms - first
        if 0 <= step < span.steps:
            sums[step] += _of_an_api(row) if row.kind == "api" else _of_a_worker(row)
    told = [_told(each) for each in sums]
    return {"from_ms": first * span.step_ms, "step_ms": span.step_ms, "steps": told}


def _of_an_api(row: Row) -> Figures:
    """The requests and how long they took."""
    done = Done(row.figures.done.requests, row.figures.done.failed)
    return replace(row.figures, done=done)


def _of_a_worker(row: Row) -> Figures:
    """The tokens. Its requests are jobs, which an API tells of too."""
    return Figures(replace(row.figures.done, requests=0, failed=0))


def _told(figures: Figures) -> dict[str, Any]:
    done, first_token, queued = figures.done, figures.first_token, figures.queued
    return {
        "requests": done.requests,
        "failed": done.failed,
        "prompt": done.prompt,
        "cached": done.cached,
        "completion": done.completion,
        "first_token_ms": _quantiles(first_token.quantile_ms(0.5), first_token.quantile_ms(0.95)),
        "queued_ms": _quantiles(queued.quantile_ms(0.5), queued.quantile_ms(0.95)),
    }


def _quantiles(*found: float | None) -> list[int | None]:
    return [None if ms is None else round(ms) for ms in found]


def by_worker(rows: Sequence[Row], workers: Collection[str], now_ms: int) -> dict[str, Any]:
    """What each of these workers has done. One that has begun again goes on with the figures of
    those before it, unless two of them have one name.
    """
    stems = [stem(worker) for worker in workers]
    told = {}
    for worker in workers:
        is_alone = stems.count(stem(worker)) == 1
        own = [row for row in rows if row.kind == "worker" and _is_of(row.name, worker, is_alone)]
        hour, week = (
            sum([row.figures.done for row in _of(own, span)], Figures().done)
            for span in (HOUR, WEEK)
        )
        by_hours = steps(own, WEEK, now_ms)["steps"]
        told[worker] = {
            "requests": week.requests,
            "prompt": week.prompt,
            "cached": week.cached,
            "completion": week.completion,
            "tokens_per_s": _per_second(week.completion, week.busy_ms),
            "hour": {"prompt": hour.prompt, "cached": hour.cached, "completion": hour.completion},
            "completion_by_hour": [each["completion"] for each in by_hours],
        }
    return told


def _per_second(tokens: int, ms: int) -> float:
    return round(tokens * 1000 / ms, 1) if ms else 0.0


def stem(worker: str) -> str:
    """Its name without what tells two registrations apart.

    >>> stem("gpu-box-a1b2c3")
    'gpu-box'
    """
    return worker.rpartition("-")[0] or worker


def _is_of(name: str, worker: str, is_alone: bool) -> bool:
    return name == worker or (is_alone and stem(name) == stem(worker))
