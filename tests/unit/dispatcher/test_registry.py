"""What the API and `llamaq status` see of the workers."""

from dataclasses import replace

from redis.asyncio import Redis

from dispatcher.commands import Commands, Offer
from dispatcher.registry import read_models
from dispatcher.worker import WorkerFacts, WorkerSession
from dispatcher.worker_state import WorkerState
from testing.desk import Desk


async def join(
    desk: Desk, worker: str, *, accepting: bool = True, aliases: str = ""
) -> WorkerSession:
    session = WorkerSession(worker, Commands(desk.redis, desk.keys), 10)
    facts = WorkerFacts(desk.keys.model, "http://127.0.0.1:8080", "healthy", 2048, "b1", "f1")
    await session.register(2, accepting, replace(facts, aliases=aliases))
    return session


async def test_nothing_is_known_at_first(redis: Redis) -> None:
    assert await read_models(redis) == []


async def test_worker_with_its_slots_and_queue(desk: Desk) -> None:
    session = await join(desk, "w")
    await desk.enqueue("j1", "j2")
    await session.claim(Offer(1))
    (model,) = await read_models(desk.redis)
    assert model.workers == (
        WorkerState(
            *("w", "http://127.0.0.1:8080", "healthy", True, 2, 1, 2048, "b1", "f1"), place="w"
        ),
    )
    assert (model.model, model.queued, model.queued_bytes, model.accepting) == ("tiny", 1, 4, True)
    assert 0 <= model.seen_s < 60


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


async def test_model_has_the_aliases_of_its_live_workers_and_remembers_those_of_others(
    desk: Desk,
) -> None:
    await join(desk, "w1", aliases="org/tiny fast")
    await join(desk, "w2", aliases="fast slow")
    (model,) = await read_models(desk.redis)
    assert model.aliases == model.past_aliases == ("fast", "org/tiny", "slow")
    assert await desk.redis.hget(desk.keys.named("worker", "w1"), "aliases") == b"org/tiny fast"
    await desk.redis.zadd(desk.keys.named("workers"), {"w2": 1})
    (model,) = await read_models(desk.redis)
    assert model.aliases == ("fast", "org/tiny")
    assert model.past_aliases == ("fast", "org/tiny", "slow")


async def test_aliases_are_forgotten_after_a_day_and_never_too_many(desk: Desk) -> None:
    known = desk.keys.aliases
    await desk.redis.zadd(known, {f"old{number}": number for number in range(100)})
    await join(desk, "w", aliases="new")
    assert await desk.redis.zcard(known) == 64
    assert 0 < await desk.redis.ttl(known) <= 86_400
    (model,) = await read_models(desk.redis)
    assert model.past_aliases == ("new",)
