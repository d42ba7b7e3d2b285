"""All that is shown of the fleet at a time: read off the hot path, and bounded."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import unquote

from dispatcher.aliases import read_aliases
from dispatcher.connection import LinkedRedis
from dispatcher.errors import RedisUnavailable
from dispatcher.gone import GoneWorker, read_gone
from dispatcher.invitations import Invitation
from dispatcher.link import Link
from dispatcher.model_state import ModelState
from dispatcher.open_jobs import OpenJob, OpenJobs, read_open_jobs
from dispatcher.registry import read_registry
from dispatcher.row import printable
from dispatcher.suspects import Suspect, read_suspects
from dispatcher.turns import Turn, read_turns

MOST_JOBS = 200
"""Open jobs that are read of each model."""
MOST_WAITING = 20
"""Tenants that are read of each model's queue."""


_NONE = OpenJobs()


@dataclass(frozen=True, slots=True)
class Waiting:
    """A tenant that waits in a tier, as `Turn` tells, and how long its oldest job that was read has
    done so, in seconds; None where none of them was.
    """

    tier: str
    tenant: str
    queued: int
    needs: str = ""
    oldest_s: float | None = None


@dataclass(frozen=True, slots=True)
class ModelOverview:
    """A model with its workers, who waits for it, its open jobs, who is under suspicion, and which
    workers went away in the last hour.
    """

    state: ModelState
    waiting: Sequence[Waiting] = ()
    jobs: OpenJobs = _NONE
    suspects: Sequence[Suspect] = ()
    gone: Sequence[GoneWorker] = ()


@dataclass(frozen=True, slots=True)
class Overview:
    """The models by name at a time of Redis, in Unix seconds, and the invitations that have ended.

    `aliases` are those of operators: name → model.
    """

    now_s: float
    models: Sequence[ModelOverview]
    aliases: Mapping[str, str]
    ended: Sequence[Invitation] = ()


async def read_overview(redis: LinkedRedis, most_jobs: int = MOST_JOBS) -> Overview:
    """Reads it. Values that are too long are left out where invited machines can write.

    Raises `RedisUnavailable`.
    """
    registry, aliases = await asyncio.gather(read_registry(redis), read_aliases(redis))
    read = (_read(redis, state, registry.now_s, most_jobs) for state in registry.models)
    models = await asyncio.gather(*read)
    ended = [each for _, each in sorted(registry.invitations.items()) if each.ended]
    return Overview(registry.now_s, models, aliases, ended)


async def _read(
    redis: LinkedRedis, state: ModelState, now_s: float, most_jobs: int
) -> ModelOverview:
    bare = ModelOverview(state)
    if not state.invited:
        return await _read_by(redis.link, bare, now_s, most_jobs)
    try:
        return await _read_by(redis.apart(state.model), bare, now_s, most_jobs)
    except RedisUnavailable:
        return bare


async def _read_by(link: Link, bare: ModelOverview, now_s: float, most_jobs: int) -> ModelOverview:
    model = bare.state.model
    turns, jobs, suspects, gone = await asyncio.gather(
        read_turns(link, model, MOST_WAITING),
        read_open_jobs(link, model, most_jobs),
        read_suspects(link, model),
        read_gone(link, model, now_s),
    )
    waiting = [_waiting(turn, jobs.jobs, now_s) for turn in turns]
    return replace(bare, waiting=waiting, jobs=jobs, suspects=suspects, gone=gone)


def _waiting(turn: Turn, jobs: Sequence[OpenJob], now_s: float) -> Waiting:
    tenant = printable(unquote(turn.tenant))
    waits = [
        since_s(job, now_s)
        for job in jobs
        if (job.state, job.tenant, job.tier) == ("queued", tenant, turn.tier)
    ]
    return Waiting(turn.tier, tenant, turn.queued, turn.needs, max(waits, default=None))


def since_s(job: OpenJob, now_s: float) -> float:
    """For how many seconds the job has been there; 0 where that can't be told."""
    return max(0.0, now_s - job.enqueued_ms / 1000) if job.enqueued_ms else 0.0
