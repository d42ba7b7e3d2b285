"""What operators order: a drained worker takes nothing, and a cancelled job's client is told."""

import asyncio
from pathlib import Path

import pytest

from dispatcher.connection import LinkedRedis
from dispatcher.constants import MOST_DRAINED
from dispatcher.orders import JobOrder, UnknownName, WorkerOrder, cancel, drain, resume
from dispatcher.registry import read_models
from testing.desk import LEASE_MS, Desk
from testing.killable import Killable
from testing.waiting import until

pytestmark = [
    pytest.mark.real,
    pytest.mark.parametrize("redis_url", ["real"], indirect=True),
]

GPU1 = "gpu1-0a1b2c"


async def seen(desk: Desk) -> None:
    """The model is known, as when a bridge has announced it."""
    await desk.redis.zadd("llamaq:models", {desk.keys.model: await desk.now_ms() / 1000})


@pytest.fixture
async def shop(desk: Desk) -> Desk:
    """A queue with one worker at the place `gpu1`, which has two slots."""
    await seen(desk)
    await desk.join(GPU1, 2, place="gpu1")
    return desk


async def test_drained_worker_claims_nothing_more_and_its_running_jobs_end(shop: Desk) -> None:
    await shop.enqueue("j1", "j2", "j3")
    attempt_id = await shop.take(GPU1)
    assert await drain(shop.redis, GPU1) == [WorkerOrder(GPU1, "tiny", 1, is_news=True)]
    assert await shop.claim(GPU1) == (0, [])  # before its bridge knows
    assert await shop.finish_raw(attempt_id, GPU1) == [b"OK", 0, b"0"]
    assert (await shop.state("j1"), await shop.queue()) == ("done", ["j2", "j3"])


async def test_bridge_learns_it_from_its_renewal_and_can_not_take_it_back(shop: Desk) -> None:
    assert not await shop.is_drained(GPU1)
    await drain(shop.redis, GPU1)
    assert await shop.is_drained(GPU1)
    await shop.enqueue("j1")
    assert await shop.claim(GPU1) == (0, [])


async def test_it_stays_registered_and_is_shown_as_drained(shop: Desk) -> None:
    await drain(shop.redis, GPU1)
    (model,) = await read_models(shop.redis)
    (worker,) = model.workers
    assert (worker.condition, worker.accepting, worker.rests) == ("drained", False, True)
    assert abs(worker.drained_s * 1000 - await shop.now_ms()) < 60_000
    assert not model.accepting


async def test_resume_ends_it(shop: Desk) -> None:
    await drain(shop.redis, GPU1)
    assert await resume(shop.redis, GPU1) == [WorkerOrder(GPU1, "tiny", 0, is_news=True)]
    assert await shop.rung(GPU1)
    await shop.enqueue("j1")
    assert not await shop.is_drained(GPU1)
    assert (await shop.claim(GPU1))[1] != []
    assert [order.is_news for order in await resume(shop.redis, GPU1)] == [False]


async def test_order_holds_for_the_bridge_that_comes_back(shop: Desk) -> None:
    await drain(shop.redis, GPU1)
    assert [order.is_news for order in await drain(shop.redis, "gpu1")] == [False]
    await shop.redis.zrem(shop.keys.named("workers"), GPU1)
    await shop.redis.delete(shop.keys.named("worker", GPU1))
    await shop.join("gpu1-ffffff", place="gpu1")
    await shop.join("gpu2-ffffff", place="gpu2")
    await shop.enqueue("j1")
    assert await shop.claim("gpu1-ffffff") == (0, [])
    assert (await shop.claim("gpu2-ffffff"))[1] != []


async def test_worker_that_is_away_can_be_resumed(shop: Desk) -> None:
    await drain(shop.redis, GPU1)
    await shop.redis.zrem(shop.keys.named("workers"), GPU1)
    assert await resume(shop.redis, "gpu1") == [
        WorkerOrder("gpu1", "tiny", 0, is_news=True, is_here=False)
    ]
    await shop.join("gpu1-ffffff", place="gpu1")
    await shop.enqueue("j1")
    assert (await shop.claim("gpu1-ffffff"))[1] != []


async def test_name_means_all_its_workers_of_all_models(shop: Desk) -> None:
    other = Desk(shop.redis, "other")
    await seen(other)
    await other.join("gpu1-ffffff", place="gpu1|http://127.0.0.1:8081")
    await other.join("gpu10-ffffff", place="gpu10")
    found = await drain(shop.redis, "gpu1")
    assert [(one.worker, one.model) for one in found] == [
        ("gpu1-ffffff", "other"),
        (GPU1, "tiny"),
    ]


async def test_jobs_that_wait_are_called_to_others(shop: Desk) -> None:
    await shop.join("w2")
    await shop.enqueue("j1")
    await shop.rung()
    await drain(shop.redis, GPU1)
    assert await shop.rung()


async def test_unknown_worker_is_told_with_the_nearest(shop: Desk) -> None:
    await shop.join("gpx-1a2b3c", place="gpx")
    with pytest.raises(UnknownName, match=f"no worker 'gpu_1'. The nearest are: {GPU1}, gpx-"):
        await drain(shop.redis, "gpu_1")
    with pytest.raises(UnknownName, match=r"no worker 'x_\[2J'"):
        await resume(shop.redis, "x\x1b[2J")


async def test_orders_have_a_bound(shop: Desk) -> None:
    key = shop.keys.named("drained")
    await shop.redis.zadd(key, {f"p{n}": n for n in range(MOST_DRAINED)})
    await drain(shop.redis, GPU1)
    assert await shop.redis.zcard(key) == MOST_DRAINED
    assert await shop.redis.zscore(key, "p0") is None
    assert await shop.redis.zscore(key, "gpu1")


async def test_repeated_call_changes_nothing(shop: Desk) -> None:
    await drain(shop.redis, GPU1)
    since = await shop.redis.zscore(shop.keys.named("drained"), "gpu1")
    await asyncio.sleep(0.002)
    await drain(shop.redis, GPU1)
    assert await shop.redis.zscore(shop.keys.named("drained"), "gpu1") == since


async def test_cancelled_queued_job_is_told(shop: Desk) -> None:
    await shop.enqueue("r1", "j2")
    assert await cancel(shop.redis, "r1") == [JobOrder("r1", "tiny", "queued")]
    assert (await shop.queue(), await shop.state("r1")) == (["j2"], "cancelled")
    assert await shop.heard() == [("r1:-1", "cancelled")]
    assert await shop.enqueue("r1", generation=2) == [b"KNOWN", b"cancelled"]
    (again,) = await cancel(shop.redis, "r1")
    assert (again.was, again.is_news) == ("cancelled", False)


async def test_cancelled_running_job_is_told_to_its_worker(shop: Desk) -> None:
    await shop.enqueue("r1")
    attempt_id = await shop.take(GPU1)
    assert await cancel(shop.redis, "r1") == [JobOrder("r1", "tiny", "running")]
    assert await shop.cancels(GPU1) == [attempt_id]
    await shop.finish(attempt_id, GPU1, state="cancelled")
    assert (await shop.heard())[-1] == (attempt_id, "cancelled")


async def test_cancelled_job_whose_worker_dies_is_not_tried_again(shop: Desk) -> None:
    await shop.enqueue("r1")
    attempt_id = await shop.take(GPU1)
    await cancel(shop.redis, "r1")
    await shop.reap_after(LEASE_MS + 1000)
    assert (await shop.heard(), await shop.queue()) == ([(attempt_id, "cancelled")], [])


async def test_cancelled_lost_job_goes_on_nowhere(shop: Desk) -> None:
    await shop.enqueue("r1")
    attempt_id = await shop.take(GPU1)
    await shop.emit(attempt_id, worker=GPU1)
    await shop.release(attempt_id, GPU1)
    assert await shop.state("r1") == "lost"
    assert [order.was for order in await cancel(shop.redis, "r1")] == ["lost"]
    assert (await shop.heard())[-1][1] == "cancelled"
    assert await shop.state("r1") == "cancelled"


async def test_all_jobs_of_a_request_are_cancelled(shop: Desk) -> None:
    await shop.enqueue("r1-0", "r1-1", "r1-10", "r10-0", "r1")
    assert [order.job for order in await cancel(shop.redis, "r1")] == ["r1"]
    await shop.redis.delete(shop.keys.named("job", "r1"))
    assert [order.job for order in await cancel(shop.redis, "r1")] == ["r1-0", "r1-1", "r1-10"]
    assert await shop.queue() == ["r10-0"]


async def test_unknown_job_is_told(shop: Desk) -> None:
    with pytest.raises(UnknownName, match="no job or request 'nope'"):
        await cancel(shop.redis, "nope")


async def test_order_outlives_a_redis_that_is_killed(tmp_path: Path, redis_url: str) -> None:
    server = Killable(tmp_path)
    client = await server.start()
    desk = Desk(client)
    await seen(desk)
    await desk.join(GPU1, place="gpu1")
    await drain(client, GPU1)
    await until_written(client)
    server.kill()
    again = await server.start()
    (model,) = await read_models(again)
    assert [worker.condition for worker in model.workers] in ([], ["drained"])  # its lease ran out
    await Desk(again).join("gpu1-ffffff", place="gpu1")
    assert await Desk(again).is_drained("gpu1-ffffff")
    await server.close()


async def until_written(client: LinkedRedis) -> None:
    """Redis writes later while the disk is busy."""

    async def is_written() -> bool:
        about = await client.info("persistence")
        return bool(about["aof_buffer_length"] == 0 and not about["aof_rewrite_in_progress"])

    await until(is_written)
