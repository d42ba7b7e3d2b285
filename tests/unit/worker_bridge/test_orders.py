"""Orders of operators and owners, heeded by bridges: a real Redis and API, scripted servers."""

import asyncio

import pytest

from dispatcher.orders import drain, resume
from tests.unit.worker_bridge.stage import WHOLE, Stage, eventually

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


def conditions(stage: Stage, *wanted: str) -> object:
    async def check() -> bool:
        return tuple(worker.condition for worker in await stage.workers()) == wanted

    return check


async def test_drained_bridge_that_starts_again_takes_nothing_until_it_is_resumed(
    stage: Stage,
) -> None:
    server = stage.server()
    async with stage.bridged(server):
        (worker,) = await stage.workers()
        await drain(stage.redis, worker.id)
        await eventually(stage.knows(server, accepting="0", health="healthy"))
    await eventually(stage.has_workers(0))
    async with server.running(), stage.bridge(server):
        await eventually(stage.knows(server, accepting="0", health="healthy"))
        asked = asyncio.create_task(stage.text())
        await eventually(stage.has_job("queued"))
        (again,) = [one for one in await stage.workers() if one.id != worker.id]
        assert (again.condition, len(server.chats)) == ("drained", 0)
        await resume(stage.redis, again.id)
        assert await asked == WHOLE
