"""What the page shows of the fleet now, as JSON."""

from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from typing import Any

from api.json_text import compact
from api.names import with_given
from dispatcher.connection import LinkedRedis
from dispatcher.gone import GoneWorker
from dispatcher.open_jobs import OpenJob
from dispatcher.overview import ModelOverview, Overview, read_overview, since_s
from dispatcher.row import printable
from dispatcher.worker_state import WorkerState

_OF_WORKERS = (
    *(
        "id",
        "server",
        "host",
        "address",
        "health",
        "reason",
        "condition",
        "breaker",
        "accepting",
        "slots",
    ),
    *("running", "foreign", "context", "quantisation", "size_bytes", "build", "invited"),
    *("drained_s", "paused_until_s", "is_standby", "is_understood", "tokens_per_s"),
)
_OF_JOBS = "id", "state", "tenant", "user", "tier", "path", "worker", "attempts"


async def read_snapshot(redis: LinkedRedis) -> bytes:
    """All that is shown. Raises `RedisUnavailable`."""
    return compact(told(await read_overview(redis)))


def told(overview: Overview) -> dict[str, Any]:
    """It in the words of the page. Names come as they are: the page never takes them for HTML."""
    states = with_given(
        {each.state.model: each.state for each in overview.models}, overview.aliases
    )
    models = [
        _model(each, overview.now_s)
        | {
            "aliases": list(states[each.state.model].aliases),
            "is_default": states[each.state.model].is_default,
        }
        for each in overview.models
    ]
    return {"version": _version(), "now_s": overview.now_s, "models": models}


@cache
def _version() -> str:
    return version("llamaq")


def _model(model: ModelOverview, now_s: float) -> dict[str, Any]:
    state, jobs = model.state, model.jobs
    waits = [since_s(job, now_s) for job in jobs.jobs if job.state == "queued"]
    return {
        "model": printable(state.model),
        "queued": state.queued,
        "eta_s": state.eta_s,
        "oldest_s": max(waits, default=None),
        "makes_text": any(worker.makes_text for worker in state.workers),
        "workers": [_worker(worker) for worker in sorted(state.workers, key=_id)],
        "waiting": [asdict(each) for each in model.waiting],
        "requests": [_request(job, now_s) for job in jobs.jobs],
        "requests_left_out": jobs.left_out,
        "suspects": [each.title for each in model.suspects],
        "gone": [_gone(each) for each in model.gone],
    }


def _id(worker: WorkerState) -> str:
    return worker.id


def _worker(worker: WorkerState) -> dict[str, Any]:
    return {name: getattr(worker, name) for name in _OF_WORKERS}


def _gone(worker: GoneWorker) -> dict[str, Any]:
    where = f"{worker.host} ({worker.address})" if worker.address else worker.host
    told = {"id": worker.id, "host": where, "ago_s": round(worker.ago_s, 1)}
    return told | {"why": worker.why, "jobs": worker.jobs}


def _request(job: OpenJob, now_s: float) -> dict[str, Any]:
    told = {name: getattr(job, name) for name in _OF_JOBS}
    return told | {
        "since_s": round(since_s(job, now_s), 1),
        "resumed": job.generation > 1,
        **asdict(job.progress),
    }
