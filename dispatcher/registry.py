"""The workers of every model, as the API and `llamaq status` see them."""

from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from dispatcher.connection import redis_faults
from dispatcher.keys import MODELS, Keys


@dataclass(frozen=True, slots=True)
class WorkerState:
    """A live worker. `running` counts the attempts that occupy its slots."""

    id: str
    server: str
    health: str
    accepting: bool
    slots: int
    running: int
    context: int
    build: str


@dataclass(frozen=True, slots=True)
class ModelState:
    """A model that workers serve, or have served: `seen_s` ago, in seconds, for the last time."""

    model: str
    seen_s: float
    workers: tuple[WorkerState, ...]
    queued: int
    queued_bytes: int

    @property
    def accepting(self) -> bool:
        """Whether a worker takes jobs, be it only into its queue."""
        return any(worker.accepting for worker in self.workers)


async def read_models(redis: Redis) -> list[ModelState]:
    """Every model that was seen within a day, by name. Raises `RedisUnavailable`."""
    with redis_faults():
        time: Any = await redis.time()
        now = time[0] + time[1] / 1e6
        seen: Any = await redis.zrangebyscore(MODELS, now - 86400, "+inf", withscores=True)
        return [await _read_model(redis, m.decode(), now, now - at) for m, at in sorted(seen)]


async def _read_model(redis: Redis, model: str, now: float, seen_s: float) -> ModelState:
    keys = Keys(model)
    head = redis.pipeline(transaction=False)
    head.zrangebyscore(keys.named("workers"), now * 1000, "+inf")
    head.zcard(keys.named("queue"))
    head.hget(keys.named("counters"), "queued_bytes")
    ids, queued, queued_bytes = await head.execute()
    each = redis.pipeline(transaction=False)
    for worker in ids:
        each.hgetall(keys.named("worker", worker.decode()))
        each.zcard(keys.named("running", worker.decode()))
    rows = await each.execute() if ids else []
    workers = tuple(
        _read_worker(worker.decode(), rows[2 * i], rows[2 * i + 1]) for i, worker in enumerate(ids)
    )
    waiting_bytes = int(queued_bytes or 0) if queued else 0
    return ModelState(model, max(0.0, seen_s), workers, queued, waiting_bytes)


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
    )
