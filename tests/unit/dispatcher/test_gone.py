"""Workers that went away: when, why, and what became of their jobs."""

import time
from dataclasses import replace

import pytest

from dispatcher.constants import MOST_GONE
from dispatcher.facts import DRAINING
from dispatcher.gone import GoneWorker, read_gone
from dispatcher.job import Toll
from dispatcher.worker import WorkerSession
from testing.desk import LEASE_MS, Desk
from testing.ends import FACTS

pytestmark = pytest.mark.parametrize("redis_url", ["real"], indirect=True)

ABOUT = {"server": "http://127.0.0.1:8080", "host": "gpu1", "address": "10.0.0.7"}


async def told(desk: Desk) -> list[GoneWorker]:
    return await read_gone(desk.redis.link, "tiny", time.time() + desk.offset_ms / 1000)


async def test_nobody_is_gone_at_first(desk: Desk) -> None:
    assert await told(desk) == []


async def test_one_that_died_tells_where_it_was_and_what_became_of_its_jobs(desk: Desk) -> None:
    await desk.join(slots=4, **ABOUT | {"health": "down", "reason": "it \x1b[2Jrefuses"})
    await desk.enqueue("j1", "j2")
    await desk.enqueue("j3", attempts=1)
    _, attempt_ids = await desk.claim()
    await desk.emit(attempt_ids[0])
    await desk.reap_after(LEASE_MS)
    (one,) = await told(desk)
    assert (one.id, one.how, one.host, one.address) == ("w", "died", "gpu1", "10.0.0.7")
    assert 0 <= one.ago_s < 60
    assert one.why == (
        "its bridge was heard of no more; its server was down before: it _[2Jrefuses"
    )
    assert one.jobs == "1 queued again, 1 to go on elsewhere, 1 failed"


async def test_stream_that_goes_on_elsewhere_is_told(desk: Desk) -> None:
    await desk.join(**ABOUT)
    await desk.enqueue("j1")
    attempt_id = await desk.take()
    await desk.emit(attempt_id)
    await desk.reap_after(LEASE_MS)
    await desk.heartbeat("a")
    await desk.resume(attempt_id)
    (one,) = await told(desk)
    assert one.jobs == "1 went on elsewhere"


async def test_stream_that_does_not_go_on_in_time_has_failed(desk: Desk) -> None:
    await desk.join(**ABOUT)
    await desk.enqueue("j1")
    await desk.emit(await desk.take())
    await desk.reap_after(LEASE_MS)
    await desk.heartbeat("a")
    await desk.reap_after(40_000)
    (one,) = await told(desk)
    assert one.jobs == "1 failed"


async def test_one_that_leaves_tells_of_the_jobs_that_it_gave_back(desk: Desk) -> None:
    await desk.reap()
    session = WorkerSession("w", desk.commands, LEASE_MS / 1000)
    await session.register(1, True, replace(FACTS, host="gpu1"))
    await desk.enqueue("j1")
    attempt_id = (await desk.claim(epoch=session.identity.epoch))[1][0]
    await session.renew(1, False, replace(FACTS, health=DRAINING), {attempt_id: 0})
    await session.release(attempt_id, toll=Toll.NOTHING, error=b"{}")
    assert await told(desk) == []
    await session.leave(FACTS)
    await desk.reap()
    (one,) = await told(desk)
    assert (one.how, one.why, one.jobs) == ("left", "its bridge was stopped", "1 queued again")


async def test_one_that_never_had_a_server_is_not_told_of(desk: Desk) -> None:
    await desk.join(health="unloaded", server="")
    await desk.reap_after(LEASE_MS)
    assert await told(desk) == []


async def test_only_the_last_ones_are_told_of_and_only_for_an_hour(desk: Desk) -> None:
    await desk.reap()
    for number in range(MOST_GONE + 3):
        await desk.join(f"w{number}", **ABOUT)
        await desk.redis.zadd(desk.keys.named("workers"), {f"w{number}": 2 + number})
    await desk.reap()
    assert len(await told(desk)) == MOST_GONE
    keys = [key async for key in desk.redis.scan_iter(desk.keys.named("gone_of") + "*")]
    assert len(keys) == MOST_GONE
    desk.later(3_700_000)
    assert await told(desk) == []


async def test_what_is_damaged_there_keeps_no_job_from_going_back(desk: Desk) -> None:
    await desk.redis.set(desk.keys.named("gone"), "x", ex=60)
    await desk.redis.set(desk.keys.named("gone_of", "w"), "x", ex=60)
    await desk.join(**ABOUT)
    await desk.enqueue("j1")
    await desk.take()
    assert await desk.reap_after(LEASE_MS) == [b"OK", 1, 1, 0, 0]
    assert (await desk.queue(), await told(desk)) == (["j1"], [])
