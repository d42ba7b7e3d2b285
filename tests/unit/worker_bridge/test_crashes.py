"""What becomes of the jobs that a server held when it broke."""

import asyncio
import json

import pytest

from tests.fakes.llama_server import Chat, FakeLlamaServer, Reply, answer
from tests.unit.worker_bridge.stage import WHOLE, Stage, eventually

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


async def hang(chat: Chat) -> None:
    await chat.raw(b":\n\n")
    await chat.hang()


async def hold_two(stage: Stage, server: FakeLlamaServer) -> list[asyncio.Task[str]]:
    stage.script.extend([hang, hang])
    asked = [asyncio.create_task(stage.text()) for _ in range(2)]

    async def holds_two() -> bool:
        return server.busy == 2

    await eventually(holds_two)
    return asked


async def crashes(stage: Stage) -> list[str]:
    return [job["crashes"] for job in await stage.jobs()]


async def test_crash_counts_for_each_job_that_the_server_held(stage: Stage) -> None:
    server = stage.server()
    async with server.running():
        pass  # has its port from now on
    async with stage.bridge(server):
        async with server.running():
            await eventually(stage.has_workers(1))
            asked = await hold_two(stage, server)
        async with server.running():
            assert await asyncio.gather(*asked) == [WHOLE] * 2
            assert await crashes(stage) == ["1", "1"]


async def test_poison_fails_by_itself_and_no_other_request_fails_with_it(stage: Stage) -> None:
    servers = [stage.server(process=f"p{number}") for number in range(2)]
    victims = []

    def behave(server: FakeLlamaServer) -> Reply:
        async def reply(chat: Chat) -> None:
            await chat.raw(b":\n\n")
            await asyncio.sleep(0.15)
            if chat.body["messages"][0]["content"] == "poison":
                victims.append(server.busy)
                server.crash()
                await chat.hang()
            await asyncio.sleep(0.15)  # so that those that began with it are still there
            await answer(chat)

        return reply

    for server in servers:
        server.slots, server.reply = 3, behave(server)
    async with stage.bridged(servers[0]), stage.bridged(servers[1]):
        innocent = [asyncio.create_task(stage.text()) for _ in range(8)]
        poison = stage.ask(messages=[{"role": "user", "content": "poison"}])
        innocent += [asyncio.create_task(stage.text()) for _ in range(8)]
        failed = await poison
        assert failed.status_code == 502
        assert "crashed while it had this request" in failed.text
        assert await asyncio.gather(*innocent) == [WHOLE] * 16
        assert len(victims) == 2
        assert max(victims) > 1


async def test_poison_that_has_shown_something_is_not_resumed_for_ever(stage: Stage) -> None:
    async def crash_midway(chat: Chat) -> None:
        await chat.say("Hello")

    servers = stage.server(process="p1"), stage.server(process="p2")
    stage.script.extend([crash_midway] * 9)
    async with stage.bridged(servers[0]), stage.bridged(servers[1]):
        *_, last = await stage.events()
        assert json.loads(last)["error"]["code"] == "worker_failed"
        assert sum(len(server.chats) for server in servers) <= 2
        stage.script.clear()
        assert await stage.text() == WHOLE


async def test_server_that_lost_its_power_is_noticed_though_its_connections_stay_open(
    stage: Stage,
) -> None:
    """Its jobs move on at once, not after the stall limit."""
    dark, other = stage.server(), stage.server()
    async with dark.running(), stage.bridge(dark):
        await eventually(stage.has_workers(1))
        asked = await hold_two(stage, dark)
        async with stage.bridged(other):
            dark.lose_power()
            assert await asyncio.wait_for(asyncio.gather(*asked), 10) == [WHOLE] * 2
            assert await crashes(stage) == ["1", "1"]


async def test_jobs_of_a_process_that_was_replaced_are_not_waited_for(stage: Stage) -> None:
    """Its connections stay open where a proxy or another machine is between."""
    server = stage.server(process="p1")
    async with stage.bridged(server):
        asked = await hold_two(stage, server)
        await asyncio.sleep(2.5)  # the bridge looks at what the server is every 2 s
        server.process = "p2"
        assert await asyncio.wait_for(asyncio.gather(*asked), 10) == [WHOLE] * 2
        assert await crashes(stage) == ["1", "1"]


async def test_server_that_can_not_be_asked_for_a_moment_loses_no_job(stage: Stage) -> None:
    """Nobody knows why it is silent: only a stall limit ends what it works on."""
    waits = asyncio.Event()

    async def answer_later(chat: Chat) -> None:
        await waits.wait()
        await chat.say(WHOLE)
        await chat.finish()

    server = stage.server()
    stage.script.append(answer_later)
    async with stage.bridged(server):
        asked = asyncio.create_task(stage.text())
        server.hanging |= {"/health", "/props", "/slots"}
        await eventually(stage.has_health("down"))
        waits.set()
        assert await asked == WHOLE
        server.hanging.clear()
        assert len(server.chats) == 1
