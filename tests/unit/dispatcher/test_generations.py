"""Of two submissions of a job the one of the newer generation wins, whichever comes first."""

import pytest

from testing.desk import Desk

# On the fake their scripts take ten times as long.
pytestmark = pytest.mark.parametrize("redis_url", ["real"], indirect=True)

STATES = ["queued", "running", "lost", "done", "abandoned"]


async def bring_into(desk: Desk, state: str) -> None:
    """One job of generation 1 in this state."""
    await desk.join()
    await desk.enqueue("j1", estimate=5, body=b"old")
    if state == "queued":
        return
    attempt_id = await desk.take()
    if state == "lost":
        await desk.emit(attempt_id)
    if state == "abandoned":
        await desk.redis.zrem(desk.keys.named("apis"), "a")
    if state in ("lost", "abandoned"):
        await desk.release(attempt_id)
        await desk.heartbeat("a")
    if state == "done":
        await desk.finish(attempt_id)


@pytest.mark.parametrize("state", STATES)
async def test_newer_submission_takes_the_place_of_an_older_one(desk: Desk, state: str) -> None:
    await bring_into(desk, state)
    held = await desk.running()
    assert (await desk.enqueue("j1", generation=2, body=b"newer"))[0] == b"OK"
    assert (await desk.queue(), await desk.running()) == (["j1"], [])
    assert await desk.cancels() == held
    assert await desk.counter("queued_bytes") == len(b"newer")
    attempt_id = await desk.take()
    assert attempt_id.endswith("-2")
    assert await desk.finish(attempt_id) == "OK"
    assert (await desk.of_jobs(), await desk.counter("running")) == ([], 0)


@pytest.mark.parametrize("state", STATES)
async def test_older_submission_that_comes_late_changes_nothing(desk: Desk, state: str) -> None:
    await bring_into(desk, state)
    await desk.enqueue("j1", generation=3, body=b"newest")
    before = await desk.everything()
    assert await desk.enqueue("j1", generation=2, body=b"late") == [b"STALE", 3]
    assert await desk.everything() == before


async def test_submission_has_no_effect_after_its_time(desk: Desk) -> None:
    before = await desk.everything()
    verdict, now_ms = await desk.enqueue("j1", latest_ms=await desk.now_ms() - 1)
    assert (verdict, abs(int(now_ms) - await desk.now_ms()) < 5000) == (b"LATE", True)
    assert await desk.everything() == before
    assert (await desk.enqueue("j1", latest_ms=await desk.now_ms() + 5000))[0] == b"OK"
    assert await desk.enqueue("j1", latest_ms=1) == [b"KNOWN", b"queued"]


async def test_what_was_admitted_once_is_not_refused_when_it_comes_back(desk: Desk) -> None:
    await desk.enqueue("j1", "j2", bounds=(2, 2**20))
    assert (await desk.enqueue("j3", bounds=(2, 2**20)))[0] == b"FULL"
    assert (await desk.enqueue("j3", generation=2, bounds=(2, 2**20)))[0] == b"OK"


async def test_api_hears_that_redis_knows_an_older_generation(desk: Desk) -> None:
    await desk.enqueue("j1", "j2")
    assert (await desk.heartbeat("a", "j1", "j2", generation=2))[2:] == [b"j1", b"j2"]
    assert (await desk.heartbeat("a", "j1", "j2", generation=1))[2:] == []


async def test_api_that_has_read_all_and_still_waits_hears_that_the_end_is_lost(desk: Desk) -> None:
    """Its lease ended while the enqueue was on its way, so that no heartbeat spoke of the job."""
    await desk.join()
    await desk.enqueue("j1", wait_ms=10**6, deadline_ms=10**7)
    attempt_id = await desk.take()
    await desk.redis.delete(desk.keys.named("replies", "a"))
    await desk.finish(attempt_id)
    _, last, *unknown = await desk.heartbeat("a")
    assert unknown == []
    assert (await desk.heartbeat("a", "j1", read_to=last.decode()))[2:] == [b"j1"]


async def test_end_that_is_still_to_be_read_is_not_lost(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1")
    read_to = (await desk.heartbeat("a"))[1].decode()
    await desk.finish(await desk.take())
    assert (await desk.heartbeat("a", "j1", read_to=read_to))[2:] == []


async def test_job_of_an_api_that_is_back_is_given_back_and_not_cancelled(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1")
    attempt_id = await desk.take()
    await desk.redis.zrem(desk.keys.named("apis"), "a")
    assert await desk.renew(attempt_id) == [b"OK", [], [], [attempt_id.encode()]]
    await desk.heartbeat("a")
    assert await desk.release(attempt_id, costs=0) == ["OK", "revoked"]
    assert (await desk.heard(), await desk.queue()) == ([(attempt_id, "revoked")], ["j1"])
