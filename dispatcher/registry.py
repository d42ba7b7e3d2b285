"""The workers of every model, as the API and `llamaq status` see them."""

import asyncio
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Any, NamedTuple

from redis.exceptions import ResponseError

from dispatcher.announcement import FIRST_SERVED, REMEMBERED_S
from dispatcher.commands import Commands
from dispatcher.connection import LinkedRedis
from dispatcher.errors import RedisUnavailable
from dispatcher.invitations import Invitations, holding, read_invitations
from dispatcher.keys import MODELS, NAMES, Keys
from dispatcher.link import Link
from dispatcher.model_state import ModelState
from dispatcher.redis_address import Arg
from dispatcher.row import mean
from dispatcher.worker_state import FIELDS, WorkerState, read_worker

MOST_WORKERS = 256
"""Only this many workers are read of a model to whose keys invited machines can write."""

_MOST_ROW_BYTES = 2**14
_COUNTED = "queued_bytes", "mean_completion_tokens", "mean_service_ms", FIRST_SERVED
_WORKER, _RUNNING = NAMES["worker"].encode(), NAMES["running"].encode()

log = logging.getLogger("llamaq.registry")


@dataclass(frozen=True, slots=True)
class Registry:
    """All that is known of models, by name, at a time of Redis in Unix seconds."""

    models: list[ModelState]
    invitations: Invitations
    now_s: float


async def read_models(redis: LinkedRedis) -> list[ModelState]:
    """As `read_registry`, the models alone."""
    return (await read_registry(redis)).models


async def read_registry(redis: LinkedRedis) -> Registry:
    """Every model that was seen within a day, or that an invited machine serves now.

    A model or a worker that can't be read is left out, and logged once. Raises `RedisUnavailable`.
    """
    clock, invitations = await asyncio.gather(redis.link.call("TIME"), read_invitations(redis))
    seconds, micros = clock
    now = int(seconds) + int(micros) / 1e6
    since = now - REMEMBERED_S
    guests = _guests_of(invitations)
    seen_at = dict.fromkeys(guests, -inf) | await _read_seen(redis.link, since)
    states = []
    for name, at in sorted(seen_at.items()):
        look = _Look(name, now, max(0.0, now - at), guests.get(name, ()))
        state = await _read_if_sound(redis, look)
        if state is not None and (state.workers or state.seen_s < REMEMBERED_S):
            states.append(state)
    return Registry(states, invitations, now)


async def _read_seen(link: Link, since: float) -> dict[str, float]:
    try:
        rows = await link.call("ZRANGEBYSCORE", MODELS, since, "+inf", "WITHSCORES")
    except ResponseError as error:
        log.error("The models in %s can't be read: %s", MODELS, error)
        return {}
    seen_at = {}
    for name, at in zip(rows[::2], rows[1::2], strict=True):
        try:
            seen_at[name.decode()] = float(at)
        except ValueError as error:
            log.error("The model %r can't be read, and is left out: %r", name, error)
    return seen_at


def _guests_of(invitations: Invitations) -> dict[str, tuple[str, ...]]:
    """The invited machines of each model that has some."""
    guests: dict[str, tuple[str, ...]] = {}
    for name, invitation in sorted(holding(invitations).items()):
        guests[invitation.model] = (*guests.get(invitation.model, ()), name)
    return guests


class _Look(NamedTuple):
    """At one model: the time, when it was last seen, and which machines were invited to it."""

    model: str
    now: float
    seen_s: float
    invited: tuple[str, ...]


async def _read_if_sound(redis: LinkedRedis, look: _Look) -> ModelState | None:
    try:
        if not look.invited:
            return _model(look, *await _read_model(redis.link, look))
        return _model(look, *await _read_apart(redis, look))
    except (ResponseError, ValueError) as error:
        log.error("The model %r can't be read, and is left out: %.200r", look.model, error)
    except RedisUnavailable as error:
        if not look.invited:
            raise
        log.error("The model %r can't be read, and is left out: %s", look.model, error.message)
    return None


_Read = tuple[int, Sequence[bytes | None], list[bytes], list[WorkerState]]
"""How many jobs wait, the counters, the names of a day, and the live workers."""


async def _read_model(link: Link, look: _Look) -> _Read:
    keys = Keys(look.model)
    live = "ZRANGEBYSCORE", keys.named("workers"), look.now * 1000, "+inf"
    ids, queued, counters, past = await asyncio.gather(
        link.call(*live),
        link.call("ZCARD", keys.named("queue")),
        link.call("HMGET", keys.named("counters"), *_COUNTED),
        link.call(*_names_of_a_day(look)),
    )
    asked: list[tuple[Arg, ...]] = []
    for worker in ids:
        asked.append(("HGETALL", keys.prefix.encode() + _WORKER + worker))
        running = keys.prefix.encode() + _RUNNING + worker
        asked.append(("ZCOUNT", running, 0, "+inf"))  # those below 0 need no slot
    rows = await ask_for_each(link, asked)
    found = zip(ids, rows[::2], rows[1::2], strict=True)
    return queued, counters, past, list(_sound_workers(look.model, found))


async def _read_apart(redis: LinkedRedis, look: _Look) -> _Read:
    """Reads a model whose keys invited machines can write: nothing long, no names of theirs."""
    commands = Commands(redis, Keys(look.model))
    commands.keep_apart(is_apart=True)
    roster, past = await asyncio.gather(
        commands.roster(MOST_WORKERS, _MOST_ROW_BYTES, _COUNTED, FIELDS),
        redis.link.call(*_names_of_a_day(look)),
    )
    queued, counters, *workers = roster
    found = ((worker, _pairs(values), running) for worker, running, *values in workers)
    known = {name.decode(errors="replace") for name in past}
    sound = _sound_workers(look.model, found)
    trusted = [replace(each, aliases=tuple(known.intersection(each.aliases))) for each in sound]
    return queued, counters or [None] * len(_COUNTED), past, trusted


def _names_of_a_day(look: _Look) -> tuple[Arg, ...]:
    return "ZRANGEBYSCORE", Keys(look.model).aliases, look.now - REMEMBERED_S, "+inf"


def _pairs(values: Sequence[bytes | None]) -> list[bytes]:
    pairs = zip(FIELDS, values, strict=True)
    return [item for name, value in pairs if value is not None for item in (name.encode(), value)]


def _model(
    look: _Look,
    queued: int,
    counters: Sequence[bytes | None],
    past: list[bytes],
    workers: list[WorkerState],
) -> ModelState:
    queued_bytes, completion, service_ms, first_served_s = map(mean, counters)
    return ModelState(
        model=look.model,
        seen_s=0 if workers and look.seen_s == inf else look.seen_s,
        workers=tuple(workers),
        queued=queued,
        queued_bytes=int(queued_bytes) if queued else 0,
        mean_completion=completion,
        mean_service_ms=service_ms,
        past_aliases=tuple(sorted(name.decode(errors="replace") for name in past)),
        first_served_s=int(first_served_s),
        invited=look.invited,
    )


async def ask_for_each(link: Link, commands: Iterable[tuple[Arg, ...]]) -> list[Any]:
    """The answers; a command that fails has its `ResponseError` in their place."""
    asked = [link.call(*command) for command in commands]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException) and not isinstance(answer, ResponseError):
            raise answer
    return answers


def _sound_workers(model: str, found: Iterable[tuple[bytes, Any, Any]]) -> Iterator[WorkerState]:
    for id_, row, running in found:
        try:
            if isinstance(row, Exception):
                raise row
            yield read_worker(id_.decode(), row, 0 if isinstance(running, Exception) else running)
        except (ResponseError, ValueError) as error:
            log.error("The worker %r of the model %s can't be read: %.200r", id_, model, error)
