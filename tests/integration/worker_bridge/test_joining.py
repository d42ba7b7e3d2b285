"""Two bridges at one llama-server."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest

from dispatcher.keys import Keys
from dispatcher.worker import WorkerSession
from testing.fake_llama_server import Chat
from testing.stage import WHOLE, Stage
from testing.waiting import until
from worker_bridge import joining
from worker_bridge.joining import ServerTaken

pytestmark = pytest.mark.real

MARKER = "<__media_VrxRTGRolLRuRa0GsO2SRwbU0U8fdNBi__>"


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The workers that tried to register, each time."""
    tried: list[str] = []
    truly = WorkerSession.register

    async def note(session: WorkerSession, *about: Any) -> Any:
        tried.append(session.worker)
        return await truly(session, *about)

    monkeypatch.setattr(WorkerSession, "register", note)
    return tried


async def test_second_bridge_ends_with_an_error_that_says_what_to_do(stage: Stage) -> None:
    server = stage.server(process=MARKER)
    async with stage.bridged(server), stage.bridge(server) as second:
        with pytest.raises(ServerTaken, match=r"has a bridge already, worker w\d+-.*--server"):
            await asyncio.wait_for(second, 30)
        assert len(await stage.workers()) == 1
        assert await stage.text() == WHOLE


async def test_bridge_follows_one_that_drains(stage: Stage, tried: list[str]) -> None:
    """As in a rolling restart of a model's only worker."""
    finish = asyncio.Event()

    async def answer_later(chat: Chat) -> None:
        await finish.wait()
        await chat.say(WHOLE)
        await chat.finish()

    server = stage.server(process=MARKER)
    stage.script.append(answer_later)
    async with server.running(), AsyncExitStack() as first:
        bridge = stage.bridge(server)
        await first.enter_async_context(bridge)
        await until(stage.has_workers(1))
        asked = [asyncio.create_task(stage.text())]
        await until(lambda: holds(stage, 1))
        stage.drain(server)
        await until(stage.has_health("draining"))
        async with stage.bridge(server) as second:
            asked.append(asyncio.create_task(stage.text()))
            await until(lambda: len(tried) > joining._ALIVE + 3)
            assert not second.done()
            finish.set()
            assert await asyncio.gather(*asked) == [WHOLE] * 2
            await until(stage.has_workers(1))


async def test_bridge_waits_until_the_lease_of_one_that_was_killed_has_run_out(
    stage: Stage,
) -> None:
    server = stage.server(process=MARKER)
    async with server.running():
        async with stage.bridge(server, lease_s=2):
            await until(stage.has_workers(1))
            facts = await stage.facts(server)
            workers = await stage.redis.zrange(Keys(stage.model).named("workers"), 0, -1)
        dead = {b"server_id": facts["server_id"], b"health": "healthy", b"slots": "2"}
        await stage.redis.hset(Keys(stage.model).named("worker", workers[0].decode()), mapping=dead)
        await extend_lease(stage, workers[0])
        async with stage.bridge(server) as second:
            for _ in range(4):  # as a reaper does after outages and steps of the clock
                await asyncio.sleep(1.2)
                await extend_lease(stage, workers[0])
            await until(stage.knows(server, accepting="1"))
            assert await stage.text() == WHOLE
            assert not second.done()


async def test_bridge_that_was_taken_for_dead_ends_where_another_has_its_server(
    stage: Stage,
) -> None:
    keys = Keys(stage.model)
    server = stage.server(process=MARKER)
    async with server.running(), stage.bridge(server) as serving:
        await until(stage.has_workers(1))
        server_id = (await stage.facts(server))["server_id"]
        worker = (await stage.redis.zrange(keys.named("workers"), 0, -1))[0].decode()
        await stage.redis.hset(keys.named("worker", "other"), mapping={"server_id": server_id})
        lease_ms = (await stage.redis.time())[0] * 1000 + 60_000
        await stage.redis.zadd(keys.named("workers"), {"other": lease_ms})
        await stage.redis.delete(keys.named("worker", worker))
        with pytest.raises(ServerTaken, match="worker other"):
            await asyncio.wait_for(serving, 30)


async def test_bridge_whose_redis_is_away_ends_when_it_is_told_to(
    stage: Stage, tried: list[str]
) -> None:
    server = stage.server()
    elsewhere = Stage("redis://127.0.0.1:9", None)  # nobody listens
    async with server.running(), elsewhere.bridge(server) as serving:
        await until(lambda: tried)
        elsewhere.drain(server)
        await asyncio.wait_for(serving, 30)
    await elsewhere.redis.aclose()


async def extend_lease(stage: Stage, worker: bytes) -> None:
    until_ms = (await stage.redis.time())[0] * 1000 + 3000
    await stage.redis.zadd(Keys(stage.model).named("workers"), {worker: until_ms})


async def holds(stage: Stage, count: int) -> bool:
    return sum(worker.running for worker in await stage.workers()) == count
