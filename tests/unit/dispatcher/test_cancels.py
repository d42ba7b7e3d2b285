"""Jobs that nobody waits for are cancelled in batches, also over an outage of Redis."""

import asyncio

import pytest
from redis.asyncio import Redis

from dispatcher import cancels
from dispatcher.cancels import Cancels
from dispatcher.commands import Commands
from dispatcher.connection import open_redis
from dispatcher.tasks import cancel
from testing.desk import Desk
from testing.relay import Relay
from testing.waiting import until


async def until_cancelled(desk: Desk, *jobs: str) -> None:
    async def cancelled() -> bool:
        return {await desk.state(job) for job in jobs} == {"cancelled"}

    await until(cancelled)


async def test_cancel_whose_reply_was_lost_is_repeated(desk: Desk, relay: Relay) -> None:
    client = open_redis(relay.url)
    await desk.enqueue("j1", "j2")
    waiting = Cancels(Commands(client, desk.keys))
    task = asyncio.create_task(waiting.run())
    waiting.add("j1")
    await until_cancelled(desk, "j1")
    relay.cut_next_reply()
    waiting.add("j2")
    await until_cancelled(desk, "j2")
    await until(lambda: not waiting._jobs)
    await cancel([task])
    await client.aclose()


async def test_while_redis_is_away_only_so_many_are_remembered(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cancels, "_MOST", 3)
    desk = Desk(redis)
    waiting = Cancels(desk.commands)
    for number in range(5):
        waiting.add(f"j{number}")
    task = asyncio.create_task(waiting.run())
    await until_cancelled(desk, "j2", "j3", "j4")
    assert await desk.state("j1") == ""
    await cancel([task])
