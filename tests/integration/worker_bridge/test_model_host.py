"""A bridge with several models, of which its machine has one at a time: real llama.cpp servers."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

import dispatcher.demand as demand
from dispatcher.connection import open_redis
from dispatcher.orders import drain, resume
from dispatcher.settings import QueueSettings
from llamaq.demo_model import write_demo_model
from testing.stage import NO_FOLDER, QUESTION, Stage
from testing.waiting import until
from worker_bridge import (
    load_failures,
    model_choice,
    model_host,
    pause_watch,
    shelf_watch,
    standbys,
)
from worker_bridge.load_failures import LoadFailures
from worker_bridge.model_host import ModelHost
from worker_bridge.model_load import ModelLoad
from worker_bridge.pause import NO_PAUSE, Pause, write_pause
from worker_bridge.pause_watch import watch_pause
from worker_bridge.settings import BridgeSettings
from worker_bridge.shared import Shared
from worker_bridge.shelf import Shelved, read_shelf
from worker_bridge.shelf_watch import ShelfWatch
from worker_bridge.signals import Signals

pytestmark = pytest.mark.real

SERVER = (sys.executable, "-m", "llamaq.demo_server", "--parallel", "2", "--ctx-size", "8192")
NEVER = ("sh", "-c", "exec sleep 60", "sh")  # loads for ever
BOUND_S = 0.6


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standbys, "LOOK_S", 0.1)
    monkeypatch.setattr(model_host, "_SOON_S", 0.05)
    monkeypatch.setattr(shelf_watch, "_EVERY_S", 0.1)
    monkeypatch.setattr(pause_watch, "_EVERY_S", 0.05)
    monkeypatch.setattr(model_choice, "NOTICE_S", 0.1)
    monkeypatch.setattr(demand, "_LOADING_MS", 500)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "m.gguf"
    write_demo_model(path, stop_rate=0)
    return path


class Room:
    """A folder of models whose names nobody else has, and the bridges that serve them."""

    def __init__(self, stage: Stage, folder: Path, weights: Path) -> None:
        self.stage = stage
        self.folder = folder
        self._weights = weights

    def put(self, name: str) -> str:
        """Puts a model there; returns its whole name."""
        model = f"{self.stage.model}-{name}"
        os.link(self._weights, self.folder / f"{model}.gguf")
        return model

    def put_broken(self, name: str) -> str:
        model = f"{self.stage.model}-{name}"
        (self.folder / f"{model}.gguf").write_bytes(b"GGUF and nothing else")
        return model

    @asynccontextmanager
    async def host(
        self, command: tuple[str, ...] = SERVER, *, is_first: bool = True, **settings: Any
    ) -> AsyncIterator[tuple[ModelHost, Signals, asyncio.Task[None]]]:
        signals, commands = Signals(), open_redis(self.stage.redis_url)
        told = BridgeSettings(
            **{"data_dir": NO_FOLDER, "swap_after_s": BOUND_S, "worker_name": "host", **settings}
        )
        queue = QueueSettings(redis_url=self.stage.redis_url, lease_s=4)
        found = read_shelf(self.folder)
        shared = Shared(commands, pause=watch_pause(told, frees=True))
        host = ModelHost(told, queue, shared, ShelfWatch(self.folder, found), command)
        running = asyncio.create_task(host.run(signals))
        try:
            for model in found if is_first else ():
                await until(self.has(model, "unloaded"))
            yield host, signals, running
        finally:
            signals.end_at_once()
            with suppress(asyncio.CancelledError):
                await asyncio.wait_for(running, 30)
            await commands.aclose()

    def has(self, model: str, *health: str) -> Callable[[], Awaitable[bool]]:
        """Whether its workers say just that of themselves."""

        async def check() -> bool:
            found = [worker.health for worker in await self.stage.workers(model)]
            return sorted(found) == sorted(health)

        return check

    def waits(self, model: str) -> Callable[[], Awaitable[bool]]:
        """Whether requests for it wait for a slot."""

        async def check() -> bool:
            return bool(await self.stage.redis.zcard(f"llamaq:{{{model}}}:queue"))

        return check

    async def ask(self, model: str, **fields: Any) -> httpx.Response:
        asked = QUESTION | {"max_tokens": 3} | fields
        return await self.stage.client.post("/v1/chat/completions", json={"model": model} | asked)


@pytest.fixture
def room(stage: Stage, tmp_path: Path, weights: Path) -> Room:
    return Room(stage, tmp_path, weights)


def loads(log: pytest.LogCaptureFixture) -> list[str]:
    """The models that were loaded, in this order."""
    said = [record.getMessage() for record in log.records]
    return [line.partition("=")[2] for line in said if line.startswith("loading model=")]


@pytest.fixture(autouse=True)
def _heard(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "llamaq.bridge")


async def test_model_is_loaded_when_it_is_asked_for_and_unloaded_when_it_is_idle(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    model, other = room.put("a"), room.put("b")
    async with room.host(unload_after_s=0.4):
        assert loads(caplog) == []
        watching = asyncio.create_task(count_gaps(room, model))
        assert (await room.ask(model)).status_code == 200
        assert loads(caplog) == [model]
        assert await room.has(other, "unloaded")()
        await until(room.has(model, "unloaded"))
        watching.cancel()
        assert await watching == 0
        (standby,) = await room.stage.workers(model)
        assert (standby.context, standby.slots, standby.fingerprint != "") == (4096, 0, True)


async def count_gaps(room: Room, model: str) -> int:
    """How often nobody was seen who has the model or could load it, until this is cancelled."""
    gaps = 0
    with suppress(asyncio.CancelledError):
        while True:
            gaps += not await room.stage.workers(model)
            await asyncio.sleep(0)
    return gaps


async def test_model_is_served_though_another_one_has_a_constant_flow(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    busy, wanted = room.put("a"), room.put("b")
    answers: list[int] = []

    async def flow() -> None:
        while True:
            answers.append((await room.ask(busy, max_tokens=40)).status_code)

    async with room.host():
        flows = [asyncio.create_task(flow()) for _ in range(4)]
        await until(lambda: len(answers) > 4)
        answer = await asyncio.wait_for(room.ask(wanted), BOUND_S + 10)
        for each in flows:
            each.cancel()
        assert (answer.status_code, set(answers)) == (200, {200})
        assert loads(caplog)[:2] == [busy, wanted]


async def test_paused_machine_frees_its_memory_and_loads_nothing_until_the_pause_ends(
    room: Room, caplog: pytest.LogCaptureFixture, tmp_path_factory: pytest.TempPathFactory
) -> None:
    model, home = room.put("a"), tmp_path_factory.mktemp("home")
    async with room.host(data_dir=home):
        running = asyncio.create_task(room.ask(model, max_tokens=600))
        await until(room.has(model, "healthy"))
        write_pause(home, Pause(until_s=time.time() + 3600, unload=True))
        assert (await running).status_code == 200
        await until(room.has(model, "unloaded"))
        asking = asyncio.create_task(room.ask(model))
        await until(room.waits(model))
        (standby,) = await room.stage.workers(model)
        assert (standby.condition, "has paused it until" in standby.reason) == ("paused", True)
        assert loads(caplog) == [model]
        write_pause(home, NO_PAUSE)
        assert (await asking).status_code == 200
        assert loads(caplog) == [model, model]


async def test_drained_machine_loads_nothing_until_it_is_resumed(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    model = room.put("a")
    async with room.host():
        await drain(room.stage.redis, "host")
        asking = asyncio.create_task(room.ask(model))
        await until(room.waits(model))
        await asyncio.sleep(3 * standbys.LOOK_S)
        assert loads(caplog) == []
        await resume(room.stage.redis, "host")
        assert (await asking).status_code == 200


async def test_model_that_made_room_takes_requests_again_where_nobody_waits_any_more(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    model, other = room.put("a"), room.put("b")
    async with room.host():
        running = asyncio.create_task(room.ask(model, max_tokens=2000))
        await until(room.has(model, "healthy"))
        leaving = asyncio.create_task(room.ask(other))
        await until(room.has(model, "giving way"))
        leaving.cancel()
        await until(room.has(model, "healthy"))
        assert (await room.ask(model)).status_code == 200
        assert (await running).status_code == 200
        assert loads(caplog) == [model]


async def test_bridge_wakes_when_a_bound_comes_due_and_not_at_its_next_look(
    room: Room, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, other = room.put("a"), room.put("b")
    async with room.host() as (host, _, _):
        assert (await room.ask(model)).status_code == 200

        def until_beat_s(every_s: float) -> float:
            return 60 if host._standbys.demands.of(other).jobs else every_s

        monkeypatch.setattr(model_host, "until_beat_s", until_beat_s)
        asked = asyncio.gather(*(room.ask(other) for _ in range(3)))
        assert [answer.status_code for answer in await asyncio.wait_for(asked, 30)] == [200] * 3
        assert loads(caplog) == [model, other]
        # Those who waited have their turn; the next old server has its time to end.
        assert (host._load and host._load.awaited_by, host._parting_s > 0) == (3, True)


async def test_model_that_made_room_is_not_loaded_again_before_the_one_that_was_to_come(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    """Though some of its own requests have waited for longer."""
    model, other = room.put("a"), room.put("b")
    async with room.host():
        assert (await room.ask(model)).status_code == 200
        flood = [asyncio.create_task(room.ask(model, max_tokens=900)) for _ in range(6)]
        await until(room.waits(model))
        assert (await room.ask(other)).status_code == 200
        assert loads(caplog)[:2] == [model, other]
        assert not all(each.done() for each in flood)
        for each in flood:
            each.cancel()


async def test_one_of_two_bridges_loads_a_model_and_the_other_one_helps_after_the_bound(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    model = room.put("a")
    async with room.host(worker_name="one"), room.host(is_first=False, worker_name="two"):
        answers = await asyncio.gather(*(room.ask(model) for _ in range(3)))
        assert [answer.status_code for answer in answers] == [200] * 3
        assert loads(caplog) == [model]
        await until(room.has(model, "healthy", "unloaded"))
        both = room.has(model, "healthy", "healthy")
        statuses = []

        async def ask_on() -> None:
            while not await both():
                statuses.append((await room.ask(model, max_tokens=500)).status_code)

        await asyncio.wait_for(asyncio.gather(*(ask_on() for _ in range(8))), 60)
        assert set(statuses) == {200}


async def test_model_that_a_killed_bridge_was_loading_is_loaded_by_another(
    room: Room, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = room.put("a")
    async with room.host(NEVER, worker_name="one") as (host, _, running):
        answer = asyncio.create_task(room.ask(model))
        await until(room.has(model, "loading"))
        async with room.host(is_first=False, worker_name="two"):
            await asyncio.sleep(0.5)
            assert loads(caplog) == [model]  # it is waited for
            await kill(host, running, monkeypatch)
            assert (await answer).status_code == 200
            assert loads(caplog) == [model, model]


async def kill(
    host: ModelHost, running: asyncio.Task[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `kill -9` does: it says nothing to anybody."""

    async def say_nothing(signals: Signals) -> None:
        """It is dead."""

    monkeypatch.setattr(host, "_end", say_nothing)
    running.cancel()
    load = host._load
    assert load is not None
    assert load._serving is not None
    load._serving.cancel()
    await asyncio.wait({load._serving, running})


async def test_model_that_can_not_be_loaded_is_an_error_until_its_file_is_another_one(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    model = room.put_broken("a")
    async with room.host():
        answer = await room.ask(model)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "model_unavailable")
        assert f"The model '{model}' could not be loaded on " in answer.text
        assert "can't be loaded: its server has ended, and wrote last: " in caplog.text
        (standby,) = await room.stage.workers(model)
        assert (standby.health, standby.reason[:21]) == ("failed", "its server has ended,")
        (room.folder / f"{model}.gguf").unlink()
        os.link(room._weights, room.folder / f"{model}.gguf")
        await until(room.has(model, "unloaded"))
        assert (await room.ask(model)).status_code == 200
        assert "Traceback" not in caplog.text


@pytest.mark.parametrize(
    ("command", "timeout_s", "why"),
    [
        (("/no/such/llama-server",), 20, "[Errno 2] No such file"),
        (("false",), 20, "its server has ended"),
        (NEVER, 0.2, "it was not ready within 0.2 s"),
    ],
)
async def test_load_tells_why_it_failed_and_leaves_nothing(
    real_redis_url: str, command: tuple[str, ...], timeout_s: float, why: str
) -> None:
    commands = open_redis(real_redis_url)
    queue = QueueSettings(redis_url=real_redis_url)
    load = ModelLoad(
        Shelved("m", ()), BridgeSettings(load_timeout_s=timeout_s), queue, Shared(commands), command
    )
    load.begin()
    await until(lambda: load.why_failed())
    assert load.why_failed().startswith(why)
    load.end()
    await load.wait(10)
    assert load.has_ended
    await commands.aclose()


def test_model_that_fails_again_rests_for_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    failures, model, now = LoadFailures(), Shelved("m", ()), 0.0
    monkeypatch.setattr(load_failures, "_FIRST_PAUSE_S", 10)
    monkeypatch.setattr(load_failures.time, "monotonic", lambda: now)
    for pause_s in (10, 20, 40):
        failures.note(model, "why", "")
        now += pause_s - 1
        assert failures.rests(model)
        now += 1
        assert not failures.rests(model)
    failures.note(model, "why", "")
    assert not failures.rests(Shelved("m", (), stamp=(1, 1)))
    failures.forget("m")
    assert not failures.rests(model)


async def test_files_that_come_and_go_are_noticed(room: Room) -> None:
    first = room.put("a")
    async with room.host():
        late = room.put("b")
        await until(room.has(late, "unloaded"))
        assert (await room.ask(first)).status_code == 200
        (room.folder / f"{late}.gguf").unlink()
        await until(room.has(late))
        (room.folder / f"{first}.gguf").unlink()  # the last: what was known stays
        os.link(room._weights, room.folder / "x.gguf")
        await until(room.has(first))
        (room.folder / "x.gguf").unlink()


async def test_model_whose_records_are_damaged_stops_no_other(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    damaged, sound = room.put("a"), room.put("b")
    async with room.host():
        await room.stage.redis.delete(f"llamaq:{{{damaged}}}:classes")
        await room.stage.redis.set(f"llamaq:{{{damaged}}}:classes", "not a set")
        assert (await room.ask(sound)).status_code == 200
        assert f"model={damaged} can't be looked after" in caplog.text
        await room.stage.redis.delete(f"llamaq:{{{damaged}}}:classes")


async def test_sigterm_lets_the_answer_end_and_leaves(room: Room) -> None:
    model, other = room.put("a"), room.put("b")
    async with room.host() as (_, signals, running):
        answer = asyncio.create_task(room.ask(model, max_tokens=600, stream=True))
        await until(room.has(model, "healthy"))
        signals.heed()
        assert (await answer).text.endswith("data: [DONE]\n\n")
        await asyncio.wait_for(running, 30)
        assert await room.has(other)()
        assert await room.has(model)()


async def test_waiting_jobs_of_models_that_are_not_loaded_lose_nothing_when_redis_forgets(
    room: Room,
) -> None:
    """The standbys join again under new registrations."""
    model = room.put("a")
    async with room.host():
        await room.stage.redis.delete(*await room.stage.redis.keys(f"llamaq:{{{model}}}:worker*"))
        await until(room.has(model, "unloaded"))
        assert (await room.ask(model)).status_code == 200
