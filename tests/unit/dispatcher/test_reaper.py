"""The reaper's tick, and the two helpers for tasks."""

import asyncio
import logging
from collections import Counter

import pytest
from redis.asyncio import Redis

from dispatcher.commands import Commands
from dispatcher.reaper import REAPED, Reaped, reap, run_reaper
from dispatcher.tasks import cancel, first_of
from dispatcher.worker import WorkerSession
from testing.desk import Desk
from testing.ends import FACTS
from testing.relay import Relay
from testing.waiting import until

LEASE_S = 10


async def test_tick_runs_the_script(desk: Desk) -> None:
    assert await reap(desk.commands, 4) == Reaped()
    assert await desk.redis.hexists(desk.keys.named("counters"), "reaped_ms")


async def test_who_died_and_who_left_is_named(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    await reap(desk.commands, LEASE_S)
    session = WorkerSession("tidy", desk.commands, LEASE_S)
    await session.register(1, True, FACTS)
    await session.leave(FACTS)
    await desk.join("dead", slots=2)
    await desk.enqueue("j1", "j2")
    await desk.claim("dead", 2)
    due = {"dead": 1}
    await desk.redis.zadd(desk.keys.named("workers"), due)
    await desk.redis.zadd(desk.keys.named("apis"), {"a": 1})
    await desk.redis.hincrby(desk.keys.named("counters"), "reaped_ms", -1000)
    before, jobs = Counter(REAPED.leases), REAPED.jobs
    ticking = asyncio.create_task(run_reaper(desk.commands, LEASE_S))

    await until(lambda: "api=a is gone" in caplog.text)
    await cancel([ticking])
    assert "worker=dead died; 2 of its jobs were given back" in caplog.messages
    assert "worker=tidy has left" in caplog.messages
    assert "tidy died" not in caplog.text
    counted = Counter({("worker", "left"): 1, ("worker", "died"): 1, ("api", "gone"): 1})
    assert (REAPED.leases - before, REAPED.jobs - jobs) == (counted, 2)


async def test_reaper_outlives_a_lost_reply_and_recovers(
    desk: Desk, relay: Relay, relayed: Redis
) -> None:
    commands = Commands(relayed, desk.keys)
    await reap(commands, 4)
    relay.cut_next_reply()
    task = asyncio.create_task(run_reaper(commands, 4))
    await desk.join()
    await desk.enqueue("j1")
    await desk.take()
    await desk.redis.zadd(desk.keys.named("workers"), {"w": 1})

    async def recovered() -> bool:
        return await desk.queue() == ["j1"]

    await until(recovered)
    assert not task.done()
    await cancel([task])


async def test_first_to_end_cancels_the_others() -> None:
    ended = []

    async def wait_for_ever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("other")

    await first_of(asyncio.sleep(0), wait_for_ever())
    assert ended == ["other"]


async def test_failure_of_the_first_is_raised() -> None:
    async def fail() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await first_of(fail(), asyncio.Event().wait())


async def test_task_that_swallows_a_cancellation_is_cancelled_again() -> None:
    asked = 0

    async def stubborn() -> None:
        nonlocal asked
        while asked < 2:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                asked += 1

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    await cancel([task])
    assert (task.done(), asked) == (True, 2)
