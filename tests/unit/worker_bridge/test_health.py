"""Health as a pure step, and as a monitor sees it of a scripted server."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

import worker_bridge.health_monitor as health
from testing.fake_llama_server import FakeLlamaServer
from testing.waiting import until
from worker_bridge.health import Health, ProbeResult, next_health
from worker_bridge.health_monitor import HealthMonitor
from worker_bridge.llama import LlamaServer
from worker_bridge.server_state import ServerState


@pytest.mark.parametrize("now", list(Health))
@pytest.mark.parametrize(
    ("answer", "after"),
    [
        (ProbeResult.OK, Health.HEALTHY),
        (ProbeResult.LOADING, Health.LOADING),
        (ProbeResult.REFUSED, Health.DOWN),
        (ProbeResult.UNAUTHORIZED, Health.MISCONFIGURED),
        (ProbeResult.STRANGE, Health.MISCONFIGURED),
    ],
)
def test_an_answer_tells_the_health_whatever_it_was(
    now: Health, answer: ProbeResult, after: Health
) -> None:
    assert next_health(now, answer, 0) is after


@pytest.mark.parametrize("now", list(Health))
def test_only_the_second_silence_in_a_row_means_that_the_server_is_down(now: Health) -> None:
    assert next_health(now, ProbeResult.SILENT, 1) is now
    assert next_health(now, ProbeResult.SILENT, 2) is Health.DOWN


@pytest.fixture
async def server() -> AsyncIterator[FakeLlamaServer]:
    async with FakeLlamaServer("fake").running() as server:
        yield server


@pytest.fixture
async def state(server: FakeLlamaServer) -> ServerState:
    return ServerState(server.url)


@pytest.fixture
async def monitor(server: FakeLlamaServer, state: ServerState) -> AsyncIterator[HealthMonitor]:
    monitor = HealthMonitor(LlamaServer(server.url, None), state)
    looking = asyncio.create_task(monitor.run())
    yield monitor
    looking.cancel()
    await asyncio.wait([looking])


async def becomes(state: ServerState, health: Health) -> None:
    async with asyncio.timeout(30):
        while state.health is not health:
            await state.renew_soon.wait()
            state.renew_soon.clear()


@pytest.mark.usefixtures("monitor")
async def test_server_is_healthy_once_it_has_told_what_it_is(
    server: FakeLlamaServer, state: ServerState
) -> None:
    await becomes(state, Health.HEALTHY)
    assert (state.props.model, state.props.slots, state.props.context) == ("fake", 2, 2048)


async def test_doubt_stands_until_a_look_that_began_after_it(
    server: FakeLlamaServer, state: ServerState, monitor: HealthMonitor
) -> None:
    await becomes(state, Health.HEALTHY)
    server.hanging.add("/health")
    await until(lambda: server.waiting)
    monitor.doubt(Health.DOWN)
    state.renew_soon.clear()
    server.looks.clear()
    server.hanging.clear()
    await becomes(state, Health.HEALTHY)
    assert server.looks.count("/health") == 2
    assert "/slots" in server.looks


@pytest.mark.usefixtures("monitor")
async def test_what_the_server_says_of_itself_is_followed(
    server: FakeLlamaServer, state: ServerState
) -> None:
    await becomes(state, Health.HEALTHY)
    server.slots = 7
    async with asyncio.timeout(30):
        while state.props.slots != 7:
            await state.renew_soon.wait()
            state.renew_soon.clear()


@pytest.mark.usefixtures("monitor")
async def test_restart_is_noticed_while_nothing_else_changes(
    server: FakeLlamaServer, state: ServerState
) -> None:
    server.process = "p1"
    await becomes(state, Health.HEALTHY)
    state.renew_soon.clear()
    server.process = "p2"
    async with asyncio.timeout(30):
        await state.renew_soon.wait()
    assert (state.props.process, state.health) == ("p2", Health.HEALTHY)


@pytest.mark.usefixtures("monitor")
async def test_what_a_restarted_server_had_begun_can_not_end(
    server: FakeLlamaServer, state: ServerState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "_TICK_S", 0.1)
    monkeypatch.setattr(health, "_PROPS_EVERY_S", 0.1)
    server.process = "p1"
    await becomes(state, Health.HEALTHY)
    before = time.monotonic()
    assert state.broke_at < before
    await looked_at_again(server, "/props")
    server.process = "p2"
    await looked_at_again(server, "/props")
    assert before < state.broke_at < time.monotonic()
    server.process, broke_at = "p1", state.broke_at
    await looked_at_again(server, "/props")
    server.process = "p2"
    await looked_at_again(server, "/props")
    assert state.broke_at == broke_at  # two servers behind one address


async def looked_at_again(server: FakeLlamaServer, path: str) -> None:
    server.looks.clear()
    await until(lambda: path in server.looks)
    await asyncio.sleep(0.2)


@pytest.mark.usefixtures("monitor")
async def test_something_else_that_listens_there_is_misconfigured(
    server: FakeLlamaServer, state: ServerState
) -> None:
    server.slots = "many"  # type: ignore[assignment]
    await becomes(state, Health.MISCONFIGURED)


@pytest.mark.usefixtures("monitor")
async def test_worker_tells_what_came_in_the_place_of_its_server(
    server: FakeLlamaServer, state: ServerState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "_TICK_S", 0.05)
    monkeypatch.setattr(health, "_PROPS_EVERY_S", 0.05)
    await becomes(state, Health.HEALTHY)
    assert state.reason == ""
    server.slots = "many"  # type: ignore[assignment]
    await becomes(state, Health.MISCONFIGURED)
    async with asyncio.timeout(30):
        while "not a llama-server" not in state.reason:
            await state.renew_soon.wait()
            state.renew_soon.clear()
    server.slots = 2
    await becomes(state, Health.HEALTHY)
    await looked_at_again(server, "/props")
    assert state.reason == ""
