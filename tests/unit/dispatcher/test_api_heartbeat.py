"""lua/api_heartbeat.lua: an api lives, what it has read is removed, what is lost is named."""

import pytest
from redis.asyncio import Redis

from testing.desk import LEASE_MS, Desk


async def test_first_heartbeat_makes_the_stream_and_the_boot_id(redis: Redis) -> None:
    desk = Desk(redis)
    boot, last = await desk.heartbeat("a", boot="b1")
    assert boot == b"b1"
    ((first, fields),) = await redis.xrange(desk.keys.named("replies", "a"))
    assert (first, fields) == (last, {b"hello": b"a"})


async def test_boot_id_stays(desk: Desk) -> None:
    assert (await desk.heartbeat("a", boot="other"))[0] == b"boot"
    assert (await desk.heartbeat("b", boot="other"))[0] == b"boot"


async def test_repeated_heartbeat_makes_nothing_new(desk: Desk) -> None:
    first = await desk.heartbeat("a")
    assert await desk.heartbeat("a") == first


async def test_unknown_jobs_are_named(desk: Desk) -> None:
    await desk.enqueue("j1")
    assert (await desk.heartbeat("a", "j1", "j2", "j3"))[2:] == [b"j2", b"j3"]


async def test_ended_job_is_known_for_a_while(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1")
    await desk.finish(await desk.take())
    assert (await desk.heartbeat("a", "j1"))[2:] == []
    assert [kind for _, kind in await desk.heard()] == ["done"]


async def test_entries_before_the_one_read_are_removed(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1")
    attempt_id = await desk.take()
    for payload in (b"1", b"2", b"3"):
        await desk.emit(attempt_id, payload=payload)
    entries = await desk.redis.xrange(desk.keys.named("replies", "a"))
    answer = await desk.heartbeat("a", read_to=entries[2][0].decode())
    assert [told.payload for told in await desk.told()] == [b"2", b"3"]
    assert answer[1] == entries[-1][0]


async def test_last_entry_is_named_when_all_is_read(desk: Desk) -> None:
    _, last = await desk.heartbeat("a")
    assert (await desk.heartbeat("a", read_to=last.decode()))[1] == last


async def test_lost_stream_starts_with_nothing_unread(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1")
    attempt_id = await desk.take()
    await desk.emit(attempt_id, payload=b"x" * 1000)
    await desk.redis.delete(desk.keys.named("replies", "a"))
    await desk.heartbeat("a")
    assert await desk.emit(attempt_id, payload=b"x" * 1000, most_unread=100) == [b"OK"]


async def test_heartbeat_keeps_the_api_from_being_reaped(desk: Desk) -> None:
    await desk.reap_after(5 * LEASE_MS)
    await desk.heartbeat("a")
    assert (await desk.reap_after(2 * LEASE_MS))[4] == 0


async def be_away(desk: Desk) -> None:
    """So long that the api is taken for dead; its workers live on."""
    await desk.redis.zrem(desk.keys.named("workers"), "w")
    await desk.reap_after(6 * LEASE_MS)


async def test_api_that_was_taken_for_dead_begins_again_what_it_has_not_heard(desk: Desk) -> None:
    await desk.join(slots=3)
    jobs = "done", "abandoned", "running", "queued", "never"
    await desk.enqueue(*jobs[:4], estimate=5, wait_ms=10**6, deadline_ms=10**7)
    _, (first, second, third) = await desk.claim()
    await be_away(desk)
    await desk.finish(first)
    await desk.release(second)
    assert await desk.state("abandoned") == "abandoned"
    assert (await desk.heartbeat("a", *jobs))[2:] == [b"done", b"abandoned", b"running", b"never"]
    assert await desk.told() == []
    assert (await desk.running(), await desk.queue()) == ([], ["queued"])
    assert (await desk.emit(third))[1:] == [third.encode()]
    assert await desk.finish(third) == "FENCED"
    assert await desk.counter("running") == 0
    assert await desk.enqueue("running", generation=1) == [b"OK", 2, 2]
    assert (await desk.heartbeat("a", "running", "queued"))[2:] == []


@pytest.mark.parametrize("state", ["rejected", "failed"])
async def test_it_is_told_what_has_failed(desk: Desk, state: str) -> None:
    await desk.join()
    await desk.enqueue("j1", wait_ms=10**6, deadline_ms=10**7)
    attempt_id = await desk.take()
    await be_away(desk)
    await desk.finish(attempt_id, state=state)
    assert (await desk.heartbeat("a", "j1"))[2:] == []
    told = await desk.told()
    assert [(frame.attempt_id, frame.kind) for frame in told] == [("j1:-1", "failed")]
    assert b"worker_failed" in told[0].payload
