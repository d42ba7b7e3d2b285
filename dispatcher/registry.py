"""The workers of every model, as the API and `llamaq status` see them."""

from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from dispatcher.announcement import REMEMBERED_S
from dispatcher.connection import answer_in_time, redis_faults
from dispatcher.keys import MODELS, Keys
from dispatcher.needs import ANY
from dispatcher.reply import eta_s
from dispatcher.tier import Tier

_SHOWN_ALIASES = 3


@dataclass(frozen=True, slots=True)
class WorkerState:
    """A live worker. `running` counts the attempts that occupy its slots.

    `context` is in tokens per slot; the speeds are tokens per second in one slot, 0 where unknown.
    `foreign` slots of its server are at work for others, and not among its `slots`. `aliases` are
    more names of its model, `host` is the machine of its bridge.
    """

    id: str
    server: str
    health: str
    accepting: bool
    slots: int
    running: int
    context: int
    build: str
    fingerprint: str = ""
    modalities: frozenset[str] = frozenset()
    prompt_tps: float = 0
    decode_tps: float = 0
    breaker: str = "closed"
    foreign: int = 0
    aliases: tuple[str, ...] = ()
    host: str = ""


@dataclass(frozen=True, slots=True)
class ModelState:
    """A model that workers serve, or have served: `seen_s` ago, in seconds, for the last time.

    The means are over about the last sixteen answers, 0 where there were none; `mean_completion` is
    in tokens. `past_aliases` are those that its workers have had within a day.
    """

    model: str
    seen_s: float
    workers: tuple[WorkerState, ...]
    queued: int
    queued_bytes: int
    mean_completion: float = 0
    mean_service_ms: float = 0
    past_aliases: tuple[str, ...] = ()

    @property
    def aliases(self) -> tuple[str, ...]:
        """All names besides its own that its workers have for it, in order."""
        return tuple(sorted({name for worker in self.workers for name in worker.aliases}))

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
        """Whether a worker takes jobs, be it only into its queue."""
        return any(worker.accepting for worker in self.workers)

    @property
    def eta_s(self) -> int | None:
        """Seconds until the last of those who wait now is likely to start; None where unknown."""
        slots = sum(worker.slots for worker in self.workers if worker.accepting)
        return eta_s(self.queued, slots, self.mean_service_ms) if self.queued else 0


@dataclass(frozen=True, slots=True)
class Turn:
    """A tenant that waits, and how many jobs it has in the queue, over all tiers."""

    tier: str
    tenant: str
    queued: int


async def read_turns(redis: Redis, model: str, most: int = 10) -> list[Turn]:
    """Those who wait for a model, the next of each tier first. Raises `RedisUnavailable`.

    Jobs that only some workers can take are left out: they wait in classes of their own.
    """
    keys = Keys(model)
    with redis_faults():
        pipe = redis.pipeline(transaction=False)
        for tier in Tier:
            pipe.zrange(keys.named("turns", f"{ANY}|{tier}"), 0, most - 1)
        rows = zip(Tier, await pipe.execute(), strict=True)
        names = [(tier.value, name.decode()) for tier, row in rows for name in row]
        if not names:
            return []
        queued: Any = await redis.zmscore(keys.named("waiting"), [name for _, name in names])
    return [Turn(*name, int(count or 0)) for name, count in zip(names, queued, strict=True)][:most]


async def read_models(redis: Redis) -> list[ModelState]:
    """Every model that was seen within a day, by name. Raises `RedisUnavailable`."""
    async with answer_in_time():
        time: Any = await redis.time()
        now = time[0] + time[1] / 1e6
        since = now - REMEMBERED_S
        seen: Any = await redis.zrangebyscore(MODELS, since, "+inf", withscores=True)
        return [await _read_model(redis, m.decode(), now, now - at) for m, at in sorted(seen)]


async def _read_model(redis: Redis, model: str, now: float, seen_s: float) -> ModelState:
    keys = Keys(model)
    head = redis.pipeline(transaction=False)
    head.zrangebyscore(keys.named("workers"), now * 1000, "+inf")
    head.zcard(keys.named("queue"))
    names = "queued_bytes", "mean_completion_tokens", "mean_service_ms"
    head.hmget(keys.named("counters"), names)
    head.zrangebyscore(keys.named("aliases"), now - REMEMBERED_S, "+inf")
    ids, queued, counters, past = await head.execute()
    each = redis.pipeline(transaction=False)
    for worker in ids:
        each.hgetall(keys.named("worker", worker.decode()))
        each.zcard(keys.named("running", worker.decode()))
    rows = await each.execute() if ids else []
    workers = tuple(
        _read_worker(worker.decode(), rows[2 * i], rows[2 * i + 1]) for i, worker in enumerate(ids)
    )
    queued_bytes, completion, service_ms = (float(value or 0) for value in counters)
    waiting_bytes = int(queued_bytes) if queued else 0
    seen_s = max(0.0, seen_s)
    means = completion, service_ms
    aliases = tuple(sorted(name.decode() for name in past))
    return ModelState(model, seen_s, workers, queued, waiting_bytes, *means, aliases)


def _read_worker(worker: str, row: dict[bytes, bytes], running: int) -> WorkerState:
    text = {key.decode(): value.decode() for key, value in row.items()}
    return WorkerState(
        id=worker,
        server=text.get("server", ""),
        health=text.get("health", ""),
        accepting=text.get("accepting") == "1",
        slots=int(text.get("slots", 0)),
        running=running,
        context=int(text.get("context", 0)),
        build=text.get("build", ""),
        fingerprint=text.get("fingerprint", ""),
        modalities=frozenset(filter(None, text.get("modalities", "").split(","))),
        prompt_tps=float(text.get("prompt_tps", 0)),
        decode_tps=float(text.get("decode_tps", 0)),
        breaker=text.get("breaker", "closed"),
        foreign=int(text.get("foreign", 0)),
        aliases=tuple(text.get("aliases", "").split()),
        host=text.get("host", ""),
    )
