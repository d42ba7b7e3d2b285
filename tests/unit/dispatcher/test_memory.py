"""At `maxmemory` nothing new comes in, and all that gives something back still passes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from dispatcher.errors import RedisUnavailable
from dispatcher.worker import WorkerFacts, WorkerSession
from testing.desk import LEASE_MS, Desk


@pytest.fixture
def redis_url(real_redis_url: str) -> str:
    """Only the real server has a bound."""
    return real_redis_url


@asynccontextmanager
async def full_memory(redis: Redis) -> AsyncIterator[None]:
    await redis.config_set("maxmemory", 1)
    try:
        yield
    finally:
        await redis.config_set("maxmemory", 0)


@pytest.fixture
async def attempt_ids(desk: Desk) -> list[str]:
    """Two attempts that run on a full worker; two more jobs wait."""
    await desk.join(slots=2)
    await desk.enqueue("j1", "j2", "j3", "j4")
    return (await desk.claim())[1]


async def test_enqueue_is_refused_and_leaves_nothing(desk: Desk, attempt_ids: list[str]) -> None:
    before = await desk.everything()
    async with full_memory(desk.redis):
        with pytest.raises(RedisUnavailable, match="refuses work"):
            await desk.enqueue("j5")
    assert await desk.everything() == before


async def test_first_enqueue_is_refused_too(desk: Desk) -> None:
    async with full_memory(desk.redis):
        with pytest.raises(RedisUnavailable, match="refuses work"):
            await desk.enqueue("j1")
    assert await desk.queue() == []


async def test_frames_and_the_end_reach_the_api(desk: Desk, attempt_ids: list[str]) -> None:
    async with full_memory(desk.redis):
        assert await desk.emit(attempt_ids[0]) == [b"OK"]
        assert await desk.finish(attempt_ids[0]) == "OK"
    assert await desk.heard() == [(attempt_ids[0], "chunk"), (attempt_ids[0], "done")]
    assert (await desk.state("j1"), await desk.rung("w")) == ("done", True)


async def test_release(desk: Desk, attempt_ids: list[str]) -> None:
    async with full_memory(desk.redis):
        assert await desk.release(attempt_ids[0], crashed=1) == ["OK", "revoked"]
    assert await desk.queue() == ["j1", "j3", "j4"]


@pytest.mark.parametrize(("job", "was"), [("j1", "running"), ("j3", "queued")])
async def test_cancel(desk: Desk, attempt_ids: list[str], job: str, was: str) -> None:
    async with full_memory(desk.redis):
        assert await desk.cancel(job) == was
    assert not await desk.redis.exists(desk.keys.named("body", job))


async def test_renew(desk: Desk, attempt_ids: list[str]) -> None:
    desk.later(6000)
    async with full_memory(desk.redis):
        assert await desk.renew(attempt_ids[0], slots=3) == [b"OK", [], [], []]
    assert await desk.redis.zscore(desk.keys.named("workers"), "w") > await desk.now_ms() + 9000
    assert (await desk.running(), await desk.queue()) == ([attempt_ids[0]], ["j2", "j3", "j4"])


async def test_claim(desk: Desk, attempt_ids: list[str]) -> None:
    await desk.finish(attempt_ids[0])
    async with full_memory(desk.redis):
        assert len((await desk.claim())[1]) == 1


async def test_heartbeat(desk: Desk, attempt_ids: list[str]) -> None:
    await desk.emit(attempt_ids[0])
    async with full_memory(desk.redis):
        last = (await desk.heartbeat("a"))[1]
        await desk.heartbeat("a", read_to=last.decode(), read=10)
    assert await desk.redis.xlen(desk.keys.named("replies", "a")) == 1


async def test_reap(desk: Desk, attempt_ids: list[str]) -> None:
    async with full_memory(desk.redis):
        assert await desk.reap() == [b"EXTENDED"]
    async with full_memory(desk.redis):
        desk.later(1000)
        assert (await desk.reap())[0] == b"OK"
    await desk.redis.zadd(desk.keys.named("workers"), {"w": 1})
    async with full_memory(desk.redis):
        assert (await desk.reap())[1:3] == [1, 2]
    assert await desk.queue() == ["j1", "j2", "j3", "j4"]


async def test_fenced_worker_joins_again(desk: Desk, attempt_ids: list[str]) -> None:
    async with full_memory(desk.redis):
        assert await desk.join(slots=2, epoch="new") == [b"OK", 2]


async def test_worker_joins_and_stays_though_its_model_can_not_be_announced(desk: Desk) -> None:
    session = WorkerSession("w", desk.commands, LEASE_MS / 1000)
    facts = WorkerFacts("tiny", "http://127.0.0.1:8080", "healthy", 2048, "b1", "f1")
    async with full_memory(desk.redis):
        await session.register(2, True, facts)
        assert (await session.renew(2, True, facts, {"j9:n-1": 0})).foreign == ["j9:n-1"]


async def test_life_of_many_jobs_leaves_no_bytes_behind(desk: Desk) -> None:
    await desk.join(slots=50)
    await desk.enqueue(*(f"j{number}" for number in range(50)), body=b"x" * 1000)
    _, attempt_ids = await desk.claim()
    for attempt_id in attempt_ids:
        await desk.finish(attempt_id)
    await desk.reap_after(6 * LEASE_MS)
    assert await desk.counter("queued_bytes") == 0
    keys = [key async for key in desk.redis.scan_iter()]
    left = [key for key in keys if b":job:" not in key and b":usage:" not in key]
    assert left == [desk.keys.named("counters").encode()]
