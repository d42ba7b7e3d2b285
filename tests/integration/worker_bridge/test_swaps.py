"""A server whose model is swapped while its bridge runs: it is followed, and goes on with nothing
that the other one began."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from testing.fake_llama_server import Chat, FakeLlamaServer
from testing.replies import say_the_rest
from testing.stage import Stage
from testing.waiting import until
from worker_bridge.health import Health
from worker_bridge.props import Props
from worker_bridge.server_state import ServerState

pytestmark = pytest.mark.real

OLD, NEW = {"size": 1000, "n_params": 10}, {"size": 2000, "n_params": 10}


class Broken:
    """The reply of a server that begins, and breaks off when it is told to."""

    def __init__(self) -> None:
        self.now = asyncio.Event()

    async def __call__(self, chat: Chat) -> None:
        await chat.say("Hello")
        await self.now.wait()


def continuations(server: FakeLlamaServer) -> int:
    return sum("continue_final_message" in chat for chat in server.chats)


def joined_with(stage: Stage, fingerprint: str) -> Callable[[], Any]:
    """Whether the only worker has other weights than these."""

    async def check() -> bool:
        workers = [worker for worker in await stage.workers() if worker.accepting]
        return [worker.fingerprint != fingerprint for worker in workers] == [True]

    return check


@pytest.mark.usefixtures("sees_changes_soon")
async def test_swapped_weights_of_one_name_join_as_another_worker_and_go_on_with_nothing(
    stage: Stage,
) -> None:
    server, broken = stage.server(), Broken()
    server.meta = OLD
    stage.script.append(broken)
    async with stage.bridged(server):
        (before,) = await stage.workers()
        asking = asyncio.create_task(stage.events())
        await until(stage.has_job("running"))
        server.meta, server.reply = NEW, say_the_rest
        server.crash()
        await until(joined_with(stage, before.fingerprint))
        (after,) = await stage.workers()
        assert (before.id != after.id, after.size_bytes) == (True, 2000)
        assert await stage.text() == " world"
        assert continuations(server) == 0
    asking.cancel()


async def test_rest_of_a_stream_is_not_made_by_weights_that_came_a_moment_ago(
    stage: Stage,
) -> None:
    """The other bridge has not looked at its server since."""
    broken, servers = Broken(), [stage.server(), stage.server()]
    stage.script.extend([broken, say_the_rest, say_the_rest])
    for server in servers:
        server.meta = OLD
    async with stage.bridged(servers[0]), stage.bridged(servers[1]):
        asking = asyncio.create_task(stage.events())
        await until(lambda: any(server.chats for server in servers))
        first, other = sorted(servers, key=lambda server: -len(server.chats))
        other.meta = NEW
        broken.now.set()
        assert (await asking)[-1] == "[DONE]"
        assert (continuations(first), len(other.chats)) == (1, 0)


def test_server_that_is_replaced_takes_no_job_before_redis_knows() -> None:
    state = ServerState("http://server")
    old, new = (Props("m", 2, 512, "b1", f, False, frozenset(), "") for f in ("f1", "f2"))
    state.learn(old)
    state.become(Health.HEALTHY)
    state.learn(new)
    assert state.accepting  # nobody serves it yet
    state.begin_to_serve()
    state.learn(old)
    assert (state.accepting, state.most) == (False, 0)
    state.learn(new)
    assert state.accepting
