"""The workers of every model, as the API and `llamaq status` see them."""

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from redis.exceptions import ResponseError

from dispatcher.aliases import ANY
from dispatcher.announcement import FIRST_SERVED, REMEMBERED_S
from dispatcher.connection import LinkedRedis
from dispatcher.facts import LOADING, UNLOADED
from dispatcher.keys import MODELS, NAMES, Keys
from dispatcher.redis_address import Arg
from dispatcher.reply import eta_s
from dispatcher.row import mean
from dispatcher.worker_state import WorkerState, read_worker

_SHOWN_ALIASES = 3
_COUNTED = "queued_bytes", "mean_completion_tokens", "mean_service_ms", FIRST_SERVED
_WORKER, _RUNNING = NAMES["worker"].encode(), NAMES["running"].encode()

log = logging.getLogger("llamaq.registry")


@dataclass(frozen=True, slots=True)
class ModelState:
    """A model that workers serve, or have served: `seen_s` ago, in seconds, for the last time.

    The means are over about the last sixteen answers, 0 where there were none; `mean_completion` is
    in tokens. `past_aliases` are those that its workers have had within a day, `given` the names
    that operators have given to it. It was first served at `first_served_s`, Unix time, 0 where
    that is not known.
    """

    model: str
    seen_s: float
    workers: tuple[WorkerState, ...]
    queued: int
    queued_bytes: int
    mean_completion: float = 0
    mean_service_ms: float = 0
    past_aliases: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
    first_served_s: int = 0

    @property
    def worker_aliases(self) -> set[str]:
        """All names besides its own that its workers have for it."""
        return {name for worker in self.workers for name in worker.aliases}

    @property
    def aliases(self) -> tuple[str, ...]:
        """All names besides its own, in order."""
        return tuple(sorted(self.worker_aliases.union(self.given) - {ANY, self.model}))

    @property
    def is_default(self) -> bool:
        """Whether requests come here that name no model, or one that nobody has."""
        return ANY in self.given

    @property
    def title(self) -> str:
        """Its name, and some of the others.

        >>> one = WorkerState("w", "", "", True, 1, 0, 1, "", aliases=("a", "b", "c", "d", "e"))
        >>> ModelState("m", 0, (one,), 0, 0).title
        'm (also a, b, c and 2 more)'
        """
        shown, more = self.aliases[:_SHOWN_ALIASES], len(self.aliases) - _SHOWN_ALIASES
        rest = f" and {more} more" if more > 0 else ""
        return f"{self.model} (also {', '.join(shown)}{rest})" if shown else self.model

    @property
    def accepting(self) -> bool:
        """Whether a worker takes jobs of this build, be it only once it has loaded the model."""
        return any(
            worker.is_understood and (worker.accepting or worker.is_standby)
            for worker in self.workers
            if not worker.has_failed
        )

    @property
    def is_loading(self) -> bool:
        """Whether nobody serves it yet, and a worker of this build loads it now."""
        workers = [worker for worker in self.workers if worker.is_understood]
        is_served = any(worker.accepting for worker in workers)
        return not is_served and any(worker.health == LOADING for worker in workers)

    @property
    def status(self) -> str:
        """Whether it is `loaded`, `loading` or `unloaded`: the words of llama-server's router."""
        if not all(worker.is_standby for worker in self.workers):
            return "loaded"
        is_loading = any(worker.health == LOADING for worker in self.workers)
        return LOADING if is_loading else UNLOADED

    @property
    def eta_s(self) -> int | None:
        """Seconds until the last of those who wait now is likely to start; None where unknown."""
        slots = sum(worker.slots for worker in self.workers if worker.accepting)
        return eta_s(self.queued, slots, self.mean_service_ms) if self.queued else 0


async def read_models(redis: LinkedRedis) -> list[ModelState]:
    """Every model that was seen within a day, by name. Raises `RedisUnavailable`.

    A model or a worker that can't be read is left out, and logged once.
    """
    seconds, micros = await redis.link.call("TIME")
    now = int(seconds) + int(micros) / 1e6
    since = now - REMEMBERED_S
    seen = await redis.link.call("ZRANGEBYSCORE", MODELS, since, "+inf", "WITHSCORES")
    states = []
    for name, at in sorted(zip(seen[::2], map(float, seen[1::2]), strict=True)):
        try:
            states.append(await _read_model(redis, name.decode(), now, max(0.0, now - at)))
        except (ResponseError, ValueError) as error:
            log.error("The model %r can't be read, and is left out: %r", name, error)
    return states


async def _read_model(redis: LinkedRedis, model: str, now: float, seen_s: float) -> ModelState:
    keys = Keys(model)
    ids, queued, counters, past = await asyncio.gather(
        redis.link.call("ZRANGEBYSCORE", keys.named("workers"), now * 1000, "+inf"),
        redis.link.call("ZCARD", keys.named("queue")),
        redis.link.call("HMGET", keys.named("counters"), *_COUNTED),
        redis.link.call("ZRANGEBYSCORE", keys.named("aliases"), now - REMEMBERED_S, "+inf"),
    )
    asked: list[tuple[Arg, ...]] = []
    for worker in ids:
        asked.append(("HGETALL", keys.prefix.encode() + _WORKER + worker))
        running = keys.prefix.encode() + _RUNNING + worker
        asked.append(("ZCOUNT", running, 0, "+inf"))  # those below 0 need no slot
    rows = await ask_for_each(redis, asked)
    found = zip(ids, rows[::2], rows[1::2], strict=True)
    workers = [_read_worker_if_sound(model, *about) for about in found]
    queued_bytes, completion, service_ms, first_served_s = map(mean, counters)
    return ModelState(
        model=model,
        seen_s=seen_s,
        workers=tuple(worker for worker in workers if worker is not None),
        queued=queued,
        queued_bytes=int(queued_bytes) if queued else 0,
        mean_completion=completion,
        mean_service_ms=service_ms,
        past_aliases=tuple(sorted(name.decode(errors="replace") for name in past)),
        first_served_s=int(first_served_s),
    )


async def ask_for_each(redis: LinkedRedis, commands: Iterable[tuple[Arg, ...]]) -> list[Any]:
    """The answers; in the place of one that a command doesn't get is its `ResponseError`."""
    asked = [redis.link.call(*command) for command in commands]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException) and not isinstance(answer, ResponseError):
            raise answer
    return answers


def _read_worker_if_sound(model: str, id_: bytes, row: Any, running: Any) -> WorkerState | None:
    try:
        if isinstance(row, Exception):
            raise row
        return read_worker(id_.decode(), row, 0 if isinstance(running, Exception) else running)
    except (ResponseError, ValueError) as error:
        log.error("The worker %r of the model %s can't be read: %r", id_, model, error)
        return None
