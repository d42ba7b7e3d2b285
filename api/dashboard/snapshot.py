"""What the page shows of the fleet now: read from Redis, and told as JSON."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from typing import Any
from urllib.parse import unquote

from api.json_text import compact
from api.names import with_given
from dispatcher.aliases import read_aliases
from dispatcher.connection import LinkedRedis
from dispatcher.errors import RedisUnavailable
from dispatcher.model_state import ModelState
from dispatcher.open_jobs import OpenJob, OpenJobs, read_open_jobs
from dispatcher.registry import read_registry
from dispatcher.row import printable
from dispatcher.turns import Turn, read_turns
from dispatcher.worker_state import WorkerState

_MOST_JOBS, _MOST_TURNS = 200, 20
_OF_WORKERS = (
    *("id", "server", "host", "health", "reason", "condition", "breaker", "accepting", "slots"),
    *("running", "foreign", "context", "quantisation", "size_bytes", "build", "invited"),
    *("drained_s", "paused_until_s", "is_standby", "is_understood", "tokens_per_s"),
)


@dataclass(frozen=True, slots=True)
class Now:
    """One model, who waits for it, and its jobs."""

    state: ModelState
    turns: Sequence[Turn]
    jobs: OpenJobs


async def read_snapshot(redis: LinkedRedis) -> bytes:
    """All that is shown. Raises `RedisUnavailable`."""
    registry, aliases = await asyncio.gather(read_registry(redis), read_aliases(redis))
    states = with_given({state.model: state for state in registry.models}, aliases)
    found = await asyncio.gather(*(_read(redis, state) for state in states.values()))
    models = [told(now, registry.now_s) for now in found]
    return compact({"version": _version(), "now_s": registry.now_s, "models": models})


async def _read(redis: LinkedRedis, state: ModelState) -> Now:
    link = redis.apart(state.model) if state.invited else redis.link
    try:
        turns, jobs = await asyncio.gather(
            read_turns(link, state.model, _MOST_TURNS),
            read_open_jobs(link, state.model, _MOST_JOBS),
        )
    except RedisUnavailable:
        if not state.invited:  # else an invited machine has written what is too long
            raise
        return Now(state, (), OpenJobs())
    return Now(state, turns, jobs)


def told(now: Now, now_s: float) -> dict[str, Any]:
    """A model for the page. Names come as they are: the page never takes them for HTML."""
    state, jobs = now.state, now.jobs.jobs
    waited = [_waited_s(job, now_s) for job in jobs if job.state == "queued"]
    return {
        "model": printable(state.model),
        "aliases": list(state.aliases),
        "is_default": state.is_default,
        "queued": state.queued,
        "eta_s": state.eta_s,
        "oldest_s": max(waited, default=None),
        "makes_text": any(worker.makes_text for worker in state.workers),
        "workers": [_worker(worker) for worker in state.workers],
        "waiting": [_turn(turn, jobs, now_s) for turn in now.turns],
        "requests": [_request(job, now_s) for job in jobs],
        "requests_left_out": now.jobs.left_out,
        "gone": [],
    }


@cache
def _version() -> str:
    return version("llamaq")


def _worker(worker: WorkerState) -> dict[str, Any]:
    return {name: getattr(worker, name) for name in _OF_WORKERS}


def _turn(turn: Turn, jobs: Sequence[OpenJob], now_s: float) -> dict[str, Any]:
    tenant = printable(unquote(turn.tenant))
    waited = [
        _waited_s(job, now_s)
        for job in jobs
        if (job.state, job.tenant, job.tier) == ("queued", tenant, turn.tier)
    ]
    return asdict(turn) | {"tenant": tenant, "oldest_s": max(waited, default=None)}


def _request(job: OpenJob, now_s: float) -> dict[str, Any]:
    return {
        "id": job.id,
        "state": job.state,
        "tenant": job.tenant,
        "user": job.user,
        "tier": job.tier,
        "path": job.path,
        "worker": job.worker,
        "since_s": _waited_s(job, now_s),
        "attempts": job.attempts,
        "resumed": job.generation > 1,
    }


def _waited_s(job: OpenJob, now_s: float) -> float:
    return round(max(0.0, now_s - job.enqueued_ms / 1000), 1) if job.enqueued_ms else 0.0
