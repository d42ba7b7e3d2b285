"""A server that fails jobs though it looks well: they are kept off it until it has recovered."""

import asyncio
from pathlib import Path

import pytest

import worker_bridge.breaker as breaker
import worker_bridge.recovery as recovery
from testing.fake_llama_server import OWN, Chat, FakeLlamaServer, answer
from testing.processes import LlamaServer as RealServer
from testing.processes import free_port
from testing.replies import compute_error
from testing.stage import WHOLE, Stage
from testing.waiting import until
from worker_bridge.health import ProbeResult
from worker_bridge.llama import LlamaServer

pytestmark = pytest.mark.real


@pytest.fixture(autouse=True)
def asks_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "_TICK_S", 0.05)
    monkeypatch.setattr(breaker, "_FIRST_PAUSE_S", 0.3)


def break_(server: FakeLlamaServer) -> None:
    server.reply, server.broken = compute_error, True


def heal(server: FakeLlamaServer) -> None:
    server.reply, server.broken = answer, False


async def test_jobs_wait_while_the_only_server_fails_and_are_answered_when_it_has_recovered(
    stage: Stage,
) -> None:
    server = stage.server()
    async with stage.bridged(server):
        break_(server)
        assert (await stage.ask()).status_code == 502
        await until(stage.has_breaker("open"))
        assert not (await stage.workers())[0].accepting
        asked = asyncio.create_task(stage.text())
        await until(lambda: server.looks.count(OWN) > 0)
        assert len(server.chats) == 3
        heal(server)
        assert await asked == WHOLE
        assert [job["attempts"] for job in await stage.jobs()].count("1") == 1
        await until(stage.has_breaker("closed"))
        await until(stage.has_workers(1))


async def test_one_job_tries_a_server_before_others_follow(stage: Stage) -> None:
    release = asyncio.Event()

    async def answer_when_released(chat: Chat) -> None:
        await release.wait()
        await answer(chat)

    server = stage.server()
    server.slots = 4
    async with stage.bridged(server):
        break_(server)
        assert (await stage.ask()).status_code == 502
        heal(server)
        server.reply = answer_when_released
        asked = [asyncio.create_task(stage.text()) for _ in range(4)]
        await until(stage.has_breaker("half-open"))
        await until(lambda: server.busy == 1)
        await until(stage.knows(server, slots="1"))
        assert (server.busy, [worker.running for worker in await stage.workers()]) == (1, [1])
        release.set()
        assert await asyncio.gather(*asked) == [WHOLE] * 4
        await until(lambda: _slots_are(stage, 4))


async def test_server_comes_back_though_no_job_tries_it(stage: Stage) -> None:
    """As where others take all jobs."""
    server = stage.server()
    server.slots = 4
    async with stage.bridged(server):
        break_(server)
        assert (await stage.ask()).status_code == 502
        await until(stage.has_breaker("open"))
        heal(server)
        await until(stage.knows(server, breaker="closed", slots="4"))
        assert (len(server.chats), server.looks.count(OWN)) == (3, 2)


async def test_silent_server_is_asked_again_and_costs_no_job_anything(stage: Stage) -> None:
    server = stage.server()
    async with stage.bridged(server, stall_first_token_s=0.5):
        break_(server)
        server.hanging.add(OWN)
        assert (await stage.ask()).status_code == 502
        asked = asyncio.create_task(stage.text())
        await until(lambda: server.waiting == 1)
        await until(lambda: server.waiting == 0)
        assert (await stage.workers())[0].breaker == "open"
        heal(server)
        server.hanging.clear()
        assert await asked == WHOLE


async def test_real_server_answers_the_bridges_own_request(
    models: dict[str, Path], tmp_path: Path
) -> None:
    real = RealServer(models["tiny"], free_port(), "tiny", 1)
    llama = LlamaServer(real.url, None)
    with real.running(tmp_path / "log"):
        assert await llama.generate(30) is ProbeResult.OK
    assert await llama.generate(1) is ProbeResult.REFUSED


async def _slots_are(stage: Stage, slots: int) -> bool:
    return [worker.slots for worker in await stage.workers()] == [slots]
