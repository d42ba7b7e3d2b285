"""What Redis should not hold, and what nobody thought of: the bridge and its server live on."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from dispatcher import tasks, worker
from dispatcher.keys import Keys
from dispatcher.outbox import Outbox
from dispatcher.outgoing import Outgoing
from llamaq.__main__ import main
from testing.builders import make_token
from testing.processes import SECRET
from testing.stage import WHOLE, Stage
from testing.waiting import until
from worker_bridge.attempts import Attempts
from worker_bridge.health_monitor import HealthMonitor

pytestmark = pytest.mark.real


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "_BEGIN_AGAIN_S", 0.1)
    monkeypatch.setattr(worker, "_GRACE_MS", 100)


def once(work: Callable[..., Any], error: Exception) -> Callable[..., Any]:
    """The work, which fails the first time."""
    errors = [error]

    def fail_first(*args: Any, **more: Any) -> Any:
        if errors:
            raise errors.pop()
        return work(*args, **more)

    return fail_first


async def test_bridge_outlives_scripts_that_fail(
    stage: Stage, written: pytest.LogCaptureFixture
) -> None:
    """At d26fdb4 (M2) an error in a script ended every bridge of the model, and its servers."""
    keys = [Keys(stage.model).named(name) for name in ("classes", "speeds")]

    async with stage.bridged(stage.server()):
        for key in keys:
            await stage.redis.set(key, "garbage")
        await stage.redis.zadd(Keys(stage.model).named("bell"), {"ring": 0})
        await until(
            lambda: all(f"The {name} failed" in written.text for name in ("calls", "registration"))
        )
        await stage.redis.delete(*keys)
        assert await stage.text() == WHOLE
        assert written.text.count("The calls failed") == 1


async def test_damaged_job_is_told_of_and_the_next_one_runs(stage: Stage) -> None:
    server = stage.server()
    async with server.running():
        async with stage.bridge(server):
            await until(stage.has_workers(1))
        asked = [asyncio.create_task(stage.ask()) for _ in range(2)]

        async def both_wait() -> bool:
            return len(await stage.jobs()) == 2

        await until(both_wait)
        first, *_ = await stage.redis.keys(Keys(stage.model).named("job", "*"))
        await stage.redis.hset(first, "weight", "1e-308x")
        async with stage.bridge(server):
            answers = await asyncio.gather(*asked)
    assert sorted(answer.status_code for answer in answers) == [200, 502]
    refused = next(answer for answer in answers if answer.status_code == 502)
    assert "damaged record" in refused.json()["error"]["message"]


async def test_attempt_whose_end_nobody_thought_of_frees_its_slot_and_is_given_back(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And its outbox forgets it."""
    opened, outboxes = Outbox.open, set[Outbox]()

    def note(outbox: Outbox, *about: Any) -> Outgoing:
        outboxes.add(outbox)
        return opened(outbox, *about)

    monkeypatch.setattr(Outbox, "open", note)
    monkeypatch.setattr(Attempts, "_learn", once(Attempts._learn, KeyError("timings")))
    async with stage.bridged(stage.server()):
        assert await stage.text() == WHOLE
        await until(lambda: not any(outbox._couriers or outbox._streams for outbox in outboxes))
    assert outboxes


async def test_look_at_the_server_that_fails_is_done_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HealthMonitor, "_look", once(HealthMonitor._look, TypeError("slots")))
    async with stage.bridged(stage.server()):
        assert await stage.text() == WHOLE


async def test_worker_that_can_not_be_read_hides_nothing_else(stage: Stage, api_url: str) -> None:
    """At d26fdb4 (H3) one such field ended the API's look at models for good, with 500s."""
    keys = Keys(stage.model)
    async with stage.bridged(stage.server()), httpx.AsyncClient(base_url=api_url) as client:
        await stage.redis.zadd(keys.named("workers"), {"bad": time.time() * 1000 + 60_000})
        await stage.redis.hset(keys.named("worker", "bad"), mapping={"slots": "many", "epoch": "e"})
        await stage.redis.expire(keys.named("worker", "bad"), 60)
        token = {"Authorization": f"Bearer {make_token(secret=SECRET)}"}
        models = await client.get("/v1/models", headers=token)
        assert stage.model in [model["id"] for model in models.json()["data"]]
        assert stage.model in (await client.get("/ready", headers=token)).json()["models"]
        status = await asyncio.to_thread(read_status_of, stage)
        assert f"{stage.model}: 0 queued, 0 of 2 slots busy" in status
        assert await stage.text() == WHOLE
        await stage.redis.zrem(keys.named("workers"), "bad")


def read_status_of(stage: Stage) -> str:
    url = {"LLAMAQ_REDIS_URL": stage.redis_url}
    result = CliRunner().invoke(main, ["status"], env=url)
    assert result.exit_code == 0, result.output
    return result.output


async def test_bridge_tells_of_an_api_that_speaks_another_protocol(
    stage: Stage, written: pytest.LogCaptureFixture
) -> None:
    apis = Keys(stage.model).named("apis")
    await stage.redis.zadd(apis, {"api-old": time.time() * 1000 + 60_000})
    async with stage.bridged(stage.server()):
        assert await stage.text() == WHOLE
    assert written.text.count("the API api-old speaks protocol 0 (an old build)") == 1
