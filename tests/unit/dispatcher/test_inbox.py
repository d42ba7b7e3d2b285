"""The API's end of the reply stream: nothing twice, nothing forgotten, whatever is lost between."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from dispatcher import inbox
from dispatcher.commands import Commands
from dispatcher.connection import open_redis
from dispatcher.errors import RedisUnavailable
from dispatcher.inbox import Inbox
from dispatcher.reply import Reply
from dispatcher.tasks import cancel
from testing.desk import Desk
from testing.relay import Relay
from testing.waiting import until


class Reading:
    """An inbox of api `a`, and the jobs that it reported as forgotten."""

    def __init__(self, desk: Desk, commands: Redis, reader: Redis) -> None:
        self.forgotten: list[tuple[str, int]] = []
        self.inbox = Inbox("a", Commands(commands, desk.keys), reader, 4, self._forget)

    def _forget(self, job: str, generation: int) -> None:
        self.forgotten.append((job, generation))

    def expect(self, job: str) -> Reply:
        reply = self.inbox.replies[job] = Reply(2**20, lambda: None)
        self.inbox.known.add(job)
        return reply

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.inbox.run_reader())
        yield
        alive = not task.done()
        await cancel([task])
        assert alive


@pytest.fixture
async def reading(desk: Desk, relayed: Redis, redis_url: str) -> AsyncIterator[Reading]:
    reader = open_redis(redis_url)
    reading = Reading(desk, relayed, reader)
    await reading.inbox.heartbeat()
    yield reading
    await reader.aclose()


@pytest.fixture
async def attempt_ids(desk: Desk) -> list[str]:
    """Two attempts on one worker."""
    await desk.join(slots=2)
    await desk.enqueue("j1", "j2")
    return (await desk.claim())[1]


async def payloads(reply: Reply, number: int) -> list[bytes]:
    """What a reply gets, once it is so many frames."""
    frames: list[bytes] = []

    def enough() -> bool:
        frames.extend(frame.payload for frame in reply.take())
        return len(frames) >= number

    await until(enough)
    return frames


async def test_frames_reach_the_replies_that_wait_for_them(
    desk: Desk, reading: Reading, attempt_ids: list[str]
) -> None:
    one, two = reading.expect("j1"), reading.expect("j2")
    async with reading.running():
        await desk.emit(*attempt_ids, payload=b"both")
        assert [await payloads(one, 1), await payloads(two, 1)] == [[b"both"], [b"both"]]


async def test_frames_that_nobody_waits_for_are_read_past(
    desk: Desk, reading: Reading, attempt_ids: list[str]
) -> None:
    two = reading.expect("j2")
    async with reading.running():
        await desk.emit(attempt_ids[0])
        await desk.emit(attempt_ids[1], payload=b"mine")
        assert await payloads(two, 1) == [b"mine"]


async def test_heartbeat_reports_and_trims_what_was_read(
    desk: Desk, reading: Reading, attempt_ids: list[str]
) -> None:
    one = reading.expect("j1")
    async with reading.running():
        await desk.emit(attempt_ids[0], payload=b"x" * 1000)
        await payloads(one, 1)
        await reading.inbox.heartbeat()
    size = await desk.redis.hgetall(desk.keys.named("api", "a"))
    assert size[b"read_bytes"] == size[b"written_bytes"]
    assert await desk.redis.xlen(desk.keys.named("replies", "a")) == 1


async def test_api_that_has_read_much_says_so_before_its_next_heartbeat(
    desk: Desk, reading: Reading, attempt_ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def is_told() -> bool:
        sizes = await desk.redis.hmget(desk.keys.named("api", "a"), "read_bytes", "written_bytes")
        return sizes[0] == sizes[1]

    monkeypatch.setattr(inbox, "_MUCH_BYTES", 2000)
    monkeypatch.setattr(inbox, "until_beat_s", lambda _: 60.0)
    reading.expect("j1")
    beating = asyncio.create_task(reading.inbox.run_heartbeat())
    async with reading.running():
        await desk.emit(attempt_ids[0], payload=b"x" * 3000)
        await until(is_told)
    await cancel([beating])


async def test_last_frames_count_as_read_and_frames_of_scripts_do_not(
    desk: Desk, reading: Reading, attempt_ids: list[str]
) -> None:
    one, two = reading.expect("j1"), reading.expect("j2")
    async with reading.running():
        await desk.finish(attempt_ids[0])
        await desk.release(attempt_ids[1])
        await payloads(one, 1)
        await payloads(two, 1)
        await reading.inbox.heartbeat()
    size = await desk.redis.hgetall(desk.keys.named("api", "a"))
    assert size[b"read_bytes"] == size[b"written_bytes"]


async def test_lost_heartbeat_reports_what_was_read_again(
    desk: Desk, relay: Relay, reading: Reading, attempt_ids: list[str]
) -> None:
    one = reading.expect("j1")
    async with reading.running():
        await desk.emit(attempt_ids[0])
        await payloads(one, 1)
        relay.cut_next_reply()
        with pytest.raises(RedisUnavailable):
            await reading.inbox.heartbeat()
        await reading.inbox.heartbeat()
    size = await desk.redis.hgetall(desk.keys.named("api", "a"))
    assert int(size[b"read_bytes"]) >= int(size[b"written_bytes"])


async def test_frames_read_during_a_heartbeat_are_not_read_again(
    desk: Desk, relay: Relay, reading: Reading, attempt_ids: list[str]
) -> None:
    one, two = reading.expect("j1"), reading.expect("j2")
    async with reading.running():
        await reading.inbox.heartbeat()
        relay.hold_replies()
        beating = asyncio.create_task(reading.inbox.heartbeat())
        await relay.held.wait()
        await desk.emit(attempt_ids[0])
        await payloads(one, 1)
        relay.let_go()
        await beating
        again = reading.expect("j1")
        await desk.emit(attempt_ids[1])
        await payloads(two, 1)
    assert again.take() == []


async def test_job_that_redis_has_lost_is_reported(desk: Desk, reading: Reading) -> None:
    reading.expect("j9")
    await reading.inbox.heartbeat()
    assert reading.forgotten == [("j9", 1)]


async def test_ended_job_is_not_asked_for(desk: Desk, reading: Reading) -> None:
    reading.expect("j9").fail("slow_client", "")
    await reading.inbox.heartbeat()
    assert reading.forgotten == []


async def test_reader_starts_anew_after_redis_lost_its_data(desk: Desk, reading: Reading) -> None:
    async with reading.running():
        await desk.redis.flushall()
        await desk.redis.xadd(desk.keys.named("replies", "a"), {"hello": "a"}, id="5-0")
        await reading.inbox.heartbeat()
        await desk.join()
        reply = reading.expect("j1")
        frame = b"chunk 0 1 5\nearly"
        await desk.redis.xadd(desk.keys.named("replies", "a"), {"j1:n-1": frame}, id="6-0")
        assert await payloads(reply, 1) == [b"early"]
    await desk.redis.delete(desk.keys.named("replies", "a"))


@pytest.mark.parametrize("value", [b"nonsense", b"newkind 0 0 0\n", b"chunk 0 0 99\nx", b""])
async def test_frames_that_can_not_be_read_do_not_end_the_reader(
    desk: Desk, reading: Reading, attempt_ids: list[str], value: bytes
) -> None:
    one, two = reading.expect("j1"), reading.expect("j2")
    async with reading.running():
        await desk.redis.xadd(desk.keys.named("replies", "a"), {attempt_ids[0]: value})
        await desk.emit(attempt_ids[1], payload=b"fine")
        assert await payloads(two, 1) == [b"fine"]
    assert one.ended is bool(value)
