"""Bridges and APIs of builds that don't understand each other: nobody takes the other's jobs."""

import pytest
from redis.asyncio import Redis

from api.directory import Directory
from dispatcher.commands import Commands
from dispatcher.errors import ModelUnavailable
from dispatcher.keys import Keys
from dispatcher.protocol import PROTOCOL
from dispatcher.queue import Queue
from dispatcher.registry import read_models
from dispatcher.worker import WorkerSession
from testing.desk import Desk
from testing.ends import FACTS


def speak(desk: Desk, version: int) -> None:
    """From now on the desk's scripts are those of a build of this version."""
    desk.commands = Commands(desk.redis, desk.keys, desk.offset_ms, version)


async def forget_version(desk: Desk, api: str = "a") -> None:
    """As a build from before the first version, which says none."""
    await desk.redis.hdel(desk.keys.named("api", api), "protocol")
    async for job in desk.redis.scan_iter(desk.keys.named("job", "*")):
        await desk.redis.hdel(job, "protocol")


async def test_bridge_takes_only_jobs_of_apis_that_speak_its_protocol(desk: Desk) -> None:
    await desk.enqueue("old")
    speak(desk, PROTOCOL + 1)
    assert await desk.join(slots=2) == [b"OK", 0, b"a", PROTOCOL]
    assert (await desk.claim())[1] == []
    await desk.heartbeat("b")
    await desk.enqueue("new", api="b", prefixes=("p",))
    assert [attempt_id.partition(":")[0] for attempt_id in (await desk.claim())[1]] == ["new"]
    speak(desk, PROTOCOL)
    await desk.join("v")
    assert (await desk.take("v")).startswith("old:")


async def test_build_that_tells_no_version_is_of_version_0(desk: Desk) -> None:
    await desk.enqueue("j1")
    await forget_version(desk)
    assert await desk.join() == [b"OK", 0, b"a", 0]
    assert await desk.renew() == [b"OK", [], [], [], b"a", 0]
    assert (await desk.claim())[1] == []
    await desk.heartbeat("a")
    assert await desk.renew() == [b"OK", [], [], []]
    await desk.enqueue("j2")
    assert (await desk.take()).startswith("j2:")


async def test_job_of_a_build_that_knows_no_paths_waits_for_a_bridge_of_its_own(
    desk: Desk,
) -> None:
    await desk.enqueue("old")
    await desk.redis.hdel(desk.keys.named("job", "old"), "path")
    await forget_version(desk)
    await desk.join()
    assert (await desk.claim())[1] == []
    assert await desk.queue() == ["old"]


async def test_favourite_of_another_protocol_is_left(desk: Desk) -> None:
    await desk.join(process="p1")
    await desk.enqueue("first", prefixes=("p",))
    await desk.finish(await desk.take())
    await desk.enqueue("next", prefixes=("p",))
    await forget_version(desk)
    assert (await desk.claim())[1] == []


async def test_session_knows_who_speaks_another_protocol(desk: Desk) -> None:
    await forget_version(desk)
    session = WorkerSession("w", desk.commands, 10)
    await session.register(1, True, FACTS)
    assert session.strangers == {"a": 0}
    await desk.heartbeat("a")
    await session.renew(1, True, FACTS, {})
    assert session.strangers == {}


async def test_api_refuses_what_only_workers_of_another_protocol_serve(
    redis: Redis, queue: Queue
) -> None:
    """And makes itself known to them, so that they can say it too."""
    desk = Desk(redis)
    newer = WorkerSession("w", Commands(redis, Keys("tiny"), protocol=PROTOCOL + 1), 10)
    await newer.register(1, True, FACTS)
    directory = Directory(redis, 30, queue.open)
    said = f"speaks protocol {PROTOCOL}, the worker w speaks protocol {PROTOCOL + 1}.*Update"
    with pytest.raises(ModelUnavailable, match=said):
        await directory.require("tiny")
    assert not directory.models["tiny"].accepting
    assert directory.given_up("tiny", waited_s=31)
    await newer.renew(1, True, FACTS, {})
    assert newer.strangers == {queue.api: PROTOCOL}
    await desk.join("v")
    await directory.require("tiny")
    assert directory.serves("tiny")


async def test_worker_of_a_build_that_tells_no_version_is_shown_as_of_version_0(
    desk: Desk,
) -> None:
    session = WorkerSession("w", desk.commands, 10)
    await session.register(1, True, FACTS)
    await desk.redis.hdel(desk.keys.named("worker", "w"), "protocol")
    (model,) = await read_models(desk.redis)
    assert (model.workers[0].protocol, model.accepting) == (0, False)


async def test_equal_versions_notice_nothing(desk: Desk) -> None:
    assert await desk.join() == [b"OK", 0]
    assert await desk.renew() == [b"OK", [], [], []]
    await desk.enqueue("j1")
    assert len((await desk.claim())[1]) == 1
