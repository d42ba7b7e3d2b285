"""Orders of operators and owners, heeded by bridges: a real Redis and API, scripted servers."""

import asyncio
import time
from pathlib import Path

import pytest

from dispatcher.orders import drain, resume
from testing.fake_llama_server import Chat
from testing.stage import WHOLE, Stage
from testing.waiting import until
from worker_bridge.pause import NO_PAUSE, Heeded, Pause, who_heeds, write_pause

pytestmark = pytest.mark.real


async def test_drained_bridge_that_starts_again_takes_nothing_until_it_is_resumed(
    stage: Stage,
) -> None:
    server = stage.server()
    async with stage.bridged(server):
        (worker,) = await stage.workers()
        await drain(stage.redis, worker.id)
        await until(stage.knows(server, accepting="0", health="healthy"))
    await until(stage.has_workers(0))
    async with server.running(), stage.bridge(server):
        await until(stage.knows(server, accepting="0", health="healthy"))
        asked = asyncio.create_task(stage.text())
        await until(stage.has_job("queued"))
        (again,) = [one for one in await stage.workers() if one.id != worker.id]
        assert (again.condition, len(server.chats)) == ("drained", 0)
        await resume(stage.redis, again.id)
        assert await asked == WHOLE


async def test_paused_worker_ends_what_it_has_and_takes_nothing_until_the_pause_ends(
    stage: Stage, tmp_path: Path
) -> None:
    server, may_end = stage.server(), asyncio.Event()

    async def slowly(chat: Chat) -> None:
        await chat.say("Hello")
        await may_end.wait()
        await chat.say(" world")
        await chat.finish()

    stage.script.append(slowly)
    until_s = int(time.time()) + 7200
    async with stage.bridged(server, data_dir=tmp_path):
        first = asyncio.create_task(stage.text())
        await until(stage.has_job("running"))
        given = write_pause(tmp_path, Pause(until_s=until_s, unload=True))
        await until(stage.knows(server, accepting="0", paused_until_s=str(until_s)))
        (worker,) = await stage.workers()
        assert (worker.condition, worker.running) == ("paused", 1)
        (heeded,) = who_heeds(tmp_path, given.stamp)
        assert heeded == Heeded(given.stamp, f"w{server.port}", frees=False)
        may_end.set()
        assert await first == WHOLE
        second = asyncio.create_task(stage.text())
        await asyncio.sleep(0.2)
        assert (len(server.chats), second.done()) == (1, False)
        write_pause(tmp_path, NO_PAUSE)
        assert await second == WHOLE


async def test_bridge_outside_its_hours_is_there_and_takes_nothing(stage: Stage) -> None:
    hour = time.localtime().tm_hour
    other = f"{(hour + 2) % 24}-{(hour + 3) % 24}"
    server = stage.server()
    async with server.running(), stage.bridge(server, work_hours=other):
        await until(stage.knows(server, accepting="0", health="healthy"))
        (worker,) = await stage.workers()
        assert (worker.condition, 0 < worker.paused_until_s - time.time() < 8000) == (
            "paused",
            True,
        )


async def test_pause_that_can_not_be_read_changes_nothing(stage: Stage, tmp_path: Path) -> None:
    server = stage.server()
    (tmp_path / "pause").write_text('{"hours": "never"}')
    async with stage.bridged(server, data_dir=tmp_path):
        assert await stage.text() == WHOLE
