"""The open jobs of a model, as people see them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import unquote

from dispatcher.job import NOBODY
from dispatcher.keys import Keys
from dispatcher.link import Link
from dispatcher.progress import FIELD, NONE, Progress, read_progress
from dispatcher.registry import ask_for_each
from dispatcher.row import printable

_FIELDS = (
    *("state", "tenant", "user", "tier", "worker", "path"),
    *("enqueued_ms", "claimed_ms", "attempts", "generation"),
)
_MOST_TEXT = 256


@dataclass(frozen=True, slots=True)
class OpenJob:
    """A job that is `queued`, `running` or `lost`. Times are of Redis, in Unix ms; 0: not yet.

    It has been claimed `attempts` times, and submitted `generation` times. `progress` is that of
    the attempt that runs, up to a second old.
    """

    id: str
    state: str
    tenant: str
    user: str
    tier: str
    worker: str
    path: str
    enqueued_ms: int
    claimed_ms: int
    attempts: int
    generation: int
    progress: Progress = NONE


@dataclass(frozen=True, slots=True)
class OpenJobs:
    """Those with the earliest deadlines, and how many more there are."""

    jobs: Sequence[OpenJob] = ()
    left_out: int = 0


async def read_open_jobs(link: Link, model: str, most: int) -> OpenJobs:
    """At most `most` of them. What can't be read is left out. Raises `RedisUnavailable`."""
    keys = Keys(model)
    deadlines = keys.named("deadlines")
    count, ids = await ask_for_each(
        link, [("ZCARD", deadlines), ("ZRANGE", deadlines, 0, most - 1)]
    )
    if not isinstance(ids, list):
        return OpenJobs()
    names = [id_.decode(errors="replace") for id_ in ids]
    rows = await ask_for_each(link, [("HMGET", keys.named("job", n), *_FIELDS) for n in names])
    pairs = zip(names, rows, strict=True)
    jobs = [_read(name, row) for name, row in pairs if isinstance(row, list) and row[0]]
    jobs = await _with_progress(link, keys, jobs)
    return OpenJobs(jobs, max(0, count - len(ids)) if isinstance(count, int) else 0)


async def _with_progress(link: Link, keys: Keys, jobs: Sequence[OpenJob]) -> list[OpenJob]:
    workers = sorted({job.worker for job in jobs if job.state == "running" and job.worker})
    asked = [("HGET", keys.named("worker", worker), FIELD) for worker in workers]
    answers = zip(workers, await ask_for_each(link, asked), strict=True)
    told = {
        worker: read_progress(text) if isinstance(text, bytes) else {} for worker, text in answers
    }
    return [
        replace(job, progress=told.get(job.worker, {}).get(job.id, NONE))
        if job.state == "running"
        else job
        for job in jobs
    ]


def _read(name: str, row: Sequence[bytes | None]) -> OpenJob:
    state, tenant, user, tier, worker, path, *numbers = map(_text, row)
    enqueued_ms, claimed_ms, attempts, generation = map(_number, numbers)
    user = "" if user == NOBODY else printable(unquote(user))
    return OpenJob(
        *(printable(name), state, printable(unquote(tenant)), user, tier, worker, path),
        *(enqueued_ms, claimed_ms, attempts, generation),
    )


def _text(value: bytes | None) -> str:
    return printable((value or b"")[:_MOST_TEXT].decode(errors="replace"))


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 16 else 0
