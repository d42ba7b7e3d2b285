"""What the API and `llamaq status` see of the workers."""

from redis.asyncio import Redis

from dispatcher.registry import WorkerState, read_models
from dispatcher.scripts import Scripts
from dispatcher.worker import WorkerFacts, WorkerSession
from tests.unit.dispatcher.desk import Desk


async def join(desk: Desk, worker: str, *, accepting: bool = True) -> WorkerSession:
    session = WorkerSession(worker, Scripts(desk.redis, desk.keys), 10)
    facts = WorkerFacts(desk.keys.model, "http://127.0.0.1:8080", "healthy", 2048, "b1", "f1")
    await session.register(2, accepting, facts)
    return session


async def test_nothing_is_known_at_first(redis: Redis) -> None:
    assert await read_models(redis) == []


async def test_worker_with_its_slots_and_queue(desk: Desk) -> None:
    session = await join(desk, "w")
    await desk.enqueue("j1", "j2")
    await session.claim(1)
    (model,) = await read_models(desk.redis)
    assert model.workers == (
        WorkerState("w", "http://127.0.0.1:8080", "healthy", True, 2, 1, 2048, "b1", "f1"),
    )
    assert (model.model, model.queued, model.queued_bytes, model.accepting) == ("tiny", 1, 4, True)
    assert 0 <= model.seen_s < 5


async def test_model_without_a_willing_worker_does_not_accept(desk: Desk) -> None:
    await join(desk, "w", accepting=False)
    (model,) = await read_models(desk.redis)
    assert (len(model.workers), model.accepting) == (1, False)


async def test_dead_worker_is_not_shown_but_its_model_is(desk: Desk) -> None:
    await join(desk, "w")
    await desk.redis.zadd(desk.keys.named("workers"), {"w": 1})
    (model,) = await read_models(desk.redis)
    assert (model.workers, model.accepting) == ((), False)


async def test_models_come_by_name(redis: Redis) -> None:
    for name in ("b", "ä", "a"):
        await join(Desk(redis, name), "w")
    assert [model.model for model in await read_models(redis)] == ["a", "b", "ä"]


async def test_model_not_seen_for_a_day_is_forgotten(desk: Desk) -> None:
    await join(desk, "w")
    seen = await desk.redis.zscore("llamaq:models", "tiny")
    await desk.redis.zadd("llamaq:models", {"tiny": seen - 86_500})
    assert await read_models(desk.redis) == []
