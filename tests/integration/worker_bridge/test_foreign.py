"""Others use slots of a bridged llama-server: a scripted one, and the real one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

import worker_bridge.foreign as foreign
import worker_bridge.health_monitor as health
from testing.fake_llama_server import Chat, Reply, answer
from testing.processes import LlamaServer, free_port
from testing.stage import WHOLE, Stage
from testing.waiting import until
from worker_bridge import attempts

pytestmark = pytest.mark.real


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_TICK_S", "_EVERY_S", "_EVERY_WHILE_SHARED_S"):
        monkeypatch.setattr(foreign, name, 0.2)


async def test_slots_that_others_use_are_not_offered_until_they_are_free(stage: Stage) -> None:
    over = asyncio.Event()
    server = stage.server(process="p1")
    server.slots = 4
    stage.script.append(answer_after(over))
    async with stage.bridged(server):
        first = asyncio.create_task(stage.text())
        await until(lambda: server.busy == 1)
        server.busy += 2
        await until(stage.knows(server, slots="2", foreign="2"))
        assert await stage.text() == WHOLE
        server.busy += 1
        await until(stage.knows(server, slots="1", foreign="3"))
        asked = asyncio.create_task(stage.text())
        looks = server.looks.count("/slots")
        await until(lambda: server.looks.count("/slots") > looks + 2)
        assert len(server.chats) == 2
        over.set()
        assert await first == WHOLE
        server.busy -= 3
        assert await asked == WHOLE
        await until(stage.knows(server, slots="4", foreign="0"))


async def test_server_without_jobs_is_not_asked_for_its_slots(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "_TICK_S", 0.05)
    monkeypatch.setattr(health, "_ENGINE_QUIET_S", 0.05)
    server = stage.server(process="p1")
    async with stage.bridged(server):
        assert "/slots" in server.looks
        assert await stage.text() == WHOLE
        await asyncio.sleep(0.2)
        server.looks.clear()
        await until(lambda: server.looks.count("/health") >= 10)
        assert "/slots" not in server.looks


async def test_own_jobs_are_none_of_others(stage: Stage) -> None:
    over = asyncio.Event()
    server = stage.server(process="p1")
    server.reply = answer_after(over)
    async with stage.bridged(server):
        asked = [asyncio.create_task(stage.text()) for _ in range(2)]
        await until(lambda: server.busy == 2)
        server.looks.clear()
        await until(lambda: server.looks.count("/slots") >= 4)
        assert await stage.knows(server, slots="2", foreign="0")()
        over.set()
        assert await asyncio.gather(*asked) == [WHOLE] * 2


async def test_old_build_that_tells_no_beginnings_keeps_its_jobs(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "_LATE_S", 0.1)

    async def begin_late(chat: Chat) -> None:
        await until(lambda: server.looks.count("/slots") >= 5)
        await answer(chat)

    server = stage.server()
    server.reply = begin_late
    async with stage.bridged(server):
        assert await stage.text() == WHOLE
        assert (await stage.facts(server))["foreign"] == "0"
    assert len(server.chats) == 1


async def test_job_that_waits_inside_a_server_is_given_back_and_costs_nothing(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    async def wait_inside(chat: Chat) -> None:
        await chat.hang()

    server = stage.server(process="p1")
    server.slots = 1
    stage.script.append(wait_inside)
    async with stage.bridged(server):
        assert await stage.text() == WHOLE
        assert "busy with the requests of others" in caplog.text
        assert {job["attempts"] for job in await stage.jobs()} == {"1"}


async def test_job_that_finds_its_slot_taken_is_done_by_another_worker(
    stage: Stage, models: dict[str, Path], tmp_path: Path
) -> None:
    """The real server: it lets a request that finds no slot wait, without a word."""
    real = LlamaServer(models["small"], free_port(), stage.model, 1)
    crowded, idle = stage.server(process="p1"), stage.server(process="p2")
    idle.slots = 0
    with real.running(tmp_path / "log"):
        crowded.port = real.port
        async with AsyncExitStack() as parts:
            await parts.enter_async_context(stage.bridge(crowded))
            await until(stage.has_workers(1))
            await parts.enter_async_context(stage.bridged(idle))
            await parts.enter_async_context(used_by_others(real))
            await until(lambda: is_busy(real))
            asked = asyncio.create_task(stage.text())
            await until(stage.knows(crowded, foreign="1", slots="0"))
            idle.slots = 1
            assert await asked == WHOLE
            assert len(idle.chats) == 1
            assert {job["attempts"] for job in await stage.jobs()} == {"1"}


@asynccontextmanager
async def used_by_others(server: LlamaServer) -> AsyncIterator[None]:
    """A long answer to somebody who knows nothing of llamaq."""
    question = [{"role": "user", "content": "Go on for ever."}]
    body: dict[str, Any] = {"messages": question, "ignore_eos": True, "stream": True}
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as client:

        async def read() -> None:
            while True:
                async with client.stream("POST", "/v1/chat/completions", json=body) as answer:
                    async for _ in answer.aiter_lines():
                        pass

        reading = asyncio.create_task(read())
        yield
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading


async def is_busy(server: LlamaServer) -> bool:
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as client:
        return bool((await client.get("/slots")).json()[0]["is_processing"])


def answer_after(over: asyncio.Event) -> Reply:
    async def go_on(chat: Chat) -> None:
        await chat.say(WHOLE)
        await over.wait()
        await chat.finish()

    return go_on
