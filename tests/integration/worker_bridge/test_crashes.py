"""What becomes of the jobs that a server held when it broke."""

import asyncio
import json
from collections.abc import Callable, Iterator

import pytest

import worker_bridge.health_monitor as health
from llamaq.status import as_text
from testing.fake_llama_server import Chat, FakeLlamaServer, Reply, answer
from testing.fake_rpc_peer import FakePeer
from testing.overviews import overview
from testing.replies import say_the_rest
from testing.stage import WHOLE, Stage
from testing.waiting import until

pytestmark = pytest.mark.real

MARKER = "<__media_0RxRTGRolLRuRa0GsO2SRwbU0U8fdN{}__>"


@pytest.fixture
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers are looked at more often."""
    monkeypatch.setattr(health, "_TICK_S", 0.1)
    monkeypatch.setattr(health, "_PROPS_EVERY_S", 0.1)


@pytest.fixture
def peer() -> Iterator[FakePeer]:
    peer = FakePeer()
    yield peer
    peer.die()


async def hang(chat: Chat) -> None:
    await chat.raw(b":\n\n")
    await chat.hang()


async def hold_two(stage: Stage, server: FakeLlamaServer) -> list[asyncio.Task[str]]:
    stage.script.extend([hang, hang])
    asked = [asyncio.create_task(stage.text()) for _ in range(2)]

    await until(lambda: server.busy == 2)
    return asked


async def crashes(stage: Stage) -> list[str]:
    return [job["crashes"] for job in await stage.jobs()]


async def test_crash_counts_for_each_job_that_the_server_held(stage: Stage) -> None:
    server = stage.server()
    async with server.running():
        pass  # has its port from now on
    async with stage.bridge(server):
        async with server.running():
            await until(stage.has_workers(1))
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
        await until(stage.has_workers(1))
        asked = await hold_two(stage, dark)
        async with stage.bridged(other):
            dark.lose_power()
            assert await asyncio.wait_for(asyncio.gather(*asked), 30) == [WHOLE] * 2
            assert await crashes(stage) == ["1", "1"]


@pytest.mark.usefixtures("_often")
async def test_jobs_of_a_process_that_was_replaced_are_not_waited_for(stage: Stage) -> None:
    """Its connections stay open where a proxy or another machine is between."""
    server = stage.server(process="p1")
    async with stage.bridged(server):
        asked = await hold_two(stage, server)
        looks = server.looks.count("/props")
        await until(lambda: server.looks.count("/props") > looks + 1)
        server.process = "p2"
        assert await asyncio.wait_for(asyncio.gather(*asked), 30) == [WHOLE] * 2
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
        await until(stage.has_health("down"))
        waits.set()
        assert await asked == WHOLE
        server.hanging.clear()
        assert len(server.chats) == 1


def is_incomplete(stage: Stage, peer: FakePeer) -> Callable[[], object]:
    async def check() -> bool:
        found = [(worker.health, worker.accepting) for worker in await stage.workers()]
        return found == [("incomplete", False)] and peer.address in (await status(stage))

    return check


async def status(stage: Stage) -> str:
    state = await stage.state()
    return as_text(overview(state)) if state else ""


@pytest.mark.usefixtures("_often")
async def test_worker_without_a_peer_claims_nothing_and_says_what_to_do(
    stage: Stage, peer: FakePeer
) -> None:
    server = stage.server(process=MARKER.format(1))
    async with stage.bridged(server, rpc_peers=peer.address):
        assert await stage.text() == WHOLE
        peer.die()
        await until(is_incomplete(stage, peer))
        asked = asyncio.create_task(stage.text())

        async def waits() -> bool:
            return "queued" in [job["state"] for job in await stage.jobs()]

        await until(waits)
        peer.start()

        async def says_restart() -> bool:
            return "was lost and is back: restart this llama-server" in await status(stage)

        await until(says_restart)
        assert len(server.chats) == 1
        server.process = MARKER.format(2)
        assert await asked == WHOLE
        assert (await stage.workers())[0].reason == ""


@pytest.mark.usefixtures("_often")
async def test_job_does_not_end_though_peers_die_under_it_again_and_again(
    stage: Stage, peer: FakePeer
) -> None:
    """A job that crashes two servers would."""
    server = stage.server(process=MARKER.format(0))

    async def begin(chat: Chat) -> None:
        await chat.say("Hello" if len(server.chats) == 1 else "")
        peer.die()
        await chat.hang()

    def has_begun(times: int) -> Callable[[], object]:
        async def check() -> bool:
            return len(server.chats) == times

        return check

    stage.script.extend([begin] * 3 + [say_the_rest])
    async with stage.bridged(server, rpc_peers=peer.address):
        asked = asyncio.create_task(stage.events())
        for number in range(1, 4):
            await until(has_begun(number))
            await until(is_incomplete(stage, peer))
            peer.start()
            server.process = MARKER.format(number)
        events = await asyncio.wait_for(asked, 30)
        assert "".join(events).count("Hello") == 1
        assert events[-1] == "[DONE]"
        (job,) = await stage.jobs()
        assert (job["crashes"], job["setbacks"]) == ("0", "3")
