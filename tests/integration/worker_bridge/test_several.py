"""Several workers in one process: none of them stops another."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from dispatcher.connection import open_redis
from dispatcher.settings import QueueSettings
from llamaq.__main__ import main
from testing.fake_llama_server import Chat, FakeLlamaServer
from testing.processes import free_port, llamaq, program
from testing.replies import hang_midway
from testing.stage import WHOLE, Stage
from testing.waiting import until
from worker_bridge import bridge, service
from worker_bridge.finder import run_finder
from worker_bridge.registration import Registration
from worker_bridge.service import serve_all
from worker_bridge.settings import BridgeSettings
from worker_bridge.shared import Shared
from worker_bridge.signals import Signals

pytestmark = pytest.mark.real

MARKER = "<__media_0RxRTGRolLRuRa0GsO2SRwbU0U8fdNBi__>"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_FIRST_PAUSE_S", 0.05)


@asynccontextmanager
async def bridged(stage: Stage, *servers: FakeLlamaServer) -> AsyncIterator[Signals]:
    """One process for the servers, which need not run."""
    signals, commands = Signals(), open_redis(stage.redis_url)
    settings = [stage.settings(server) for server in servers]
    queue = QueueSettings(redis_url=stage.redis_url, lease_s=4)
    serving = asyncio.create_task(serve_all(settings, queue, Shared(commands), signals))
    try:
        yield signals
    finally:
        signals.end_at_once()
        await asyncio.wait_for(serving, 30)
        await commands.aclose()


async def test_server_that_is_gone_leaves_its_jobs_to_its_neighbour(stage: Stage) -> None:
    servers = stage.server(), stage.server()
    async with servers[0].running():
        async with servers[1].running():
            pass
        async with bridged(stage, *servers):
            await until(stage.has_workers(1))
            assert await stage.text() == WHOLE
            async with servers[1].running():
                await until(stage.has_workers(2))
                answers = await asyncio.gather(*(stage.text() for _ in range(4)))
                assert answers == [WHOLE] * 4
            assert await stage.text() == WHOLE


async def test_worker_that_fails_begins_again_and_its_neighbour_notices_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, written: pytest.LogCaptureFixture
) -> None:
    broken, sound = stage.server(), stage.server()
    begin, over = Registration.begin, asyncio.Event()
    failures = []

    async def fail_twice(self: Registration) -> None:
        if self._served.worker.startswith(f"w{broken.port}-") and len(failures) < 2:
            failures.append(self._served.worker)
            raise KeyError("nobody thought of it")
        await begin(self)

    async def answer_later(chat: Chat) -> None:
        await chat.say(WHOLE)
        await over.wait()
        await chat.finish()

    monkeypatch.setattr(Registration, "begin", fail_twice)
    stage.script.append(answer_later)
    async with broken.running(), sound.running(), bridged(stage, sound, broken):
        await until(stage.has_workers(1))
        asked = asyncio.create_task(stage.text())
        await until(stage.has_workers(2))
        over.set()
        assert await asked == WHOLE
        assert {job["attempts"] for job in await stage.jobs()} == {"1"}
    assert len(failures) == 2
    assert f"The worker of {broken.url} failed, and begins again" in written.text


async def test_server_that_another_bridge_has_stops_only_its_own_worker(
    stage: Stage, written: pytest.LogCaptureFixture
) -> None:
    taken, other = stage.server(process=MARKER), stage.server()
    async with stage.bridged(taken), other.running(), bridged(stage, taken, other):
        await until(stage.has_workers(2))

        await until(lambda: "has a bridge already" in written.text)
        assert len(await stage.workers()) == 2
        assert await stage.text() == WHOLE


async def test_second_signal_gives_back_the_jobs_of_all(stage: Stage) -> None:
    servers = stage.server(), stage.server()
    for server in servers:
        server.slots = 1
    stage.script.extend([hang_midway] * 2)
    async with servers[0].running(), servers[1].running():
        async with bridged(stage, *servers) as signals:
            await until(stage.has_workers(2))
            asked = [asyncio.create_task(stage.text()) for _ in range(2)]
            await until(lambda: servers[0].busy + servers[1].busy == 2)
            signals.heed()
            await until(stage.has_workers(0))
            assert servers[0].busy + servers[1].busy == 2
            signals.heed()
            await until(lambda: servers[0].busy + servers[1].busy == 0)
        async with bridged(stage, *servers):
            assert await asyncio.gather(*asked) == [WHOLE] * 2
    assert {job["attempts"] for job in await stage.jobs()} == {"1"}


async def test_one_command_bridges_several_servers_and_numbers_its_workers(
    stage: Stage, tmp_path: Path
) -> None:
    servers = stage.server(), stage.server()
    async with servers[0].running(), servers[1].running():
        options = [word for server in servers for word in ("--server", server.url)]
        command = llamaq("bridge", "--name", "gpu", *options)
        about = {"LLAMAQ_REDIS_URL": stage.redis_url}
        with program(command, tmp_path / "bridge.log", about) as running:
            await until(stage.has_workers(2))
            assert sorted(each.id[:6] for each in await stage.workers()) == ["gpu-1-", "gpu-2-"]
            assert await asyncio.gather(stage.text(), stage.text()) == [WHOLE] * 2
            running.process.send_signal(signal.SIGTERM)
            await until(lambda: running.process.poll() is not None)
            assert running.process.returncode == 0
            assert running.output.count("left worker=gpu-") == 2


async def test_servers_that_start_later_are_found_and_get_no_key(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker_bridge.finder._LOOK_EVERY_S", 0.05)
    signals = Signals()
    monkeypatch.setattr("worker_bridge.service.heed_signals", lambda: signals)
    here = stage.server()
    later = stage.server()
    later.port = free_port()
    async with here.running():
        settings = BridgeSettings(server_key="secret")
        queue = QueueSettings(redis_url=stage.redis_url)
        finding = asyncio.create_task(run_finder(settings, queue, ports=[here.port, later.port]))
        await until(stage.has_workers(1))
        async with later.running():
            await until(stage.has_workers(2))
            assert await asyncio.gather(stage.text(), stage.text()) == [WHOLE] * 2
            signals.heed()
            await asyncio.wait_for(finding, 30)
    assert await stage.workers() == ()
    heads = [head for server in (here, later) for head in server.heads]
    assert heads
    assert not any("authorization" in head.lower() for head in heads)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--server", "http://a/v1", "--server", "http://a"], "is given twice"),
        (["--server", "http://a", "--", "llama-server"], "either --server or a command"),
        (["--server", "http://a", "--server", "b"], "LLAMAQ_SERVER"),
        (["--find", "--server", "http://a"], "--find can't be used with --server, COMMAND"),
        (["--find", "--", "llama-server"], "--find can't be used with --server, COMMAND"),
        (
            ["--server", "http://a", "--server", "http://b", "--name", "x" * 63],
            "LLAMAQ_WORKER_NAME",
        ),
    ],
)
def test_servers_that_can_not_be_meant_are_refused(arguments: list[str], said: str) -> None:
    about: Any = {"LLAMAQ_REDIS_URL": "redis://127.0.0.1:1"}
    refused = CliRunner().invoke(main, ["bridge", *arguments], env=about)
    assert refused.exit_code == 2
    assert said in refused.output


async def test_one_worker_reaps_for_all_and_when_that_fails_another(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    reaping = most = times = 0

    async def reap(*_: object) -> None:
        nonlocal reaping, most, times
        reaping, times = reaping + 1, times + 1
        most = max(most, reaping)
        await asyncio.sleep(0.1)
        reaping -= 1
        raise KeyError("nobody thought of it")

    monkeypatch.setattr(bridge, "run_reaper", reap)
    servers = stage.server(), stage.server()
    async with servers[0].running(), servers[1].running(), bridged(stage, *servers):
        await until(stage.has_workers(2))
        await until(lambda: times > 1)
    assert most == 1
