"""A llama-server that unloads its model when idle sleeps beside a bridge as it does alone."""

import asyncio
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

import worker_bridge.foreign as foreign
import worker_bridge.health_monitor as health
from testing.processes import LlamaServer, free_port
from testing.stage import Stage
from testing.waiting import until

pytestmark = pytest.mark.real

SLEEP_S = 1


@pytest.fixture(autouse=True)
def looks_more_often_than_the_server_falls_asleep(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_TICK_S", "_EVERY_S"):
        monkeypatch.setattr(foreign, name, 0.2)
    for name in ("_TICK_S", "_ENGINE_QUIET_S"):
        monkeypatch.setattr(health, name, 0.2)


async def test_server_falls_asleep_beside_a_bridge_as_it_does_alone(
    stage: Stage, models: dict[str, Path], tmp_path: Path
) -> None:
    async def is_asleep(server: LlamaServer) -> bool:
        return bool((await client.get(f"{server.url}/props")).json()["is_sleeping"])

    async def are_asleep() -> bool:
        return all([await is_asleep(server) for server in (alone, bridged)])

    alone, bridged = (
        LlamaServer(models["tiny"], free_port(), stage.model, 1, sleep_s=SLEEP_S) for _ in range(2)
    )
    stand_in = stage.server()
    stand_in.port = bridged.port
    with ExitStack() as servers:
        for name, server in (("alone", alone), ("bridged", bridged)):
            servers.enter_context(server.running(tmp_path / name))
        async with stage.bridge(stand_in), httpx.AsyncClient(trust_env=False) as client:
            await until(stage.has_workers(1))
            body = {"prompt": "Hi", "n_predict": 1}
            for _ in range(2):
                asked = client.post(f"{alone.url}/completion", json=body, timeout=20)
                answers = await asyncio.gather(asked, stage.ask(max_tokens=1))
                assert [answer.status_code for answer in answers] == [200, 200]
                assert await until(are_asleep) < SLEEP_S + 2
            assert (await stage.workers())[0].accepting
