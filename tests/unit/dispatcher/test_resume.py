"""lua/resume.lua: a job whose worker was lost in the middle of its answer goes on elsewhere."""

import pytest

from testing.desk import LEASE_MS, Desk
from testing.queued_jobs import DEADLINE_MS, WAIT_MS

# On the fake their scripts take ten times as long.
pytestmark = pytest.mark.parametrize("redis_url", ["real"], indirect=True)

LOST_MS = 10_000


async def lose(desk: Desk, worker: str = "w", **more: int) -> str:
    """The ended attempt at a job that a client has seen a part of."""
    attempt_id = await desk.take(worker)
    await desk.emit(attempt_id, worker=worker)
    assert await desk.release(attempt_id, worker, **more) == ["OK", "lost"]
    return attempt_id


async def test_lost_job_waits_for_its_api_without_a_body(desk: Desk) -> None:
    await desk.join(fingerprint="f1")
    await desk.enqueue("j1")
    attempt_id = await lose(desk)
    assert (await desk.state("j1"), await desk.queue(), await desk.running()) == ("lost", [], [])
    assert await desk.heard() == [(attempt_id, "chunk"), (attempt_id, "lost")]
    assert not await desk.redis.exists(desk.keys.named("body", "j1"))
    assert await desk.finish(attempt_id) == "FENCED"


async def test_it_goes_on_at_its_old_place_with_another_body(desk: Desk) -> None:
    await desk.join(slots=3, fingerprint="f1")
    await desk.enqueue("j1", "j2")
    attempt_id = await lose(desk)
    assert await desk.resume(attempt_id) == [b"OK", b"build=f1"]
    assert await desk.counter("queued_bytes") == len(b"body") + len(b"the rest")
    _, (first, _) = await desk.claim()
    assert first.startswith("j1:")
    assert first != attempt_id
    assert await desk.redis.get(desk.keys.named("body", "j1")) == b"the rest"
    assert await desk.emit(first) == [b"OK"]
    assert await desk.finish(first) == "OK"
    assert await desk.state("j1") == "done"
    assert await desk.counter("queued_bytes") == 0


async def test_only_a_worker_of_the_same_build_takes_it_and_is_called(desk: Desk) -> None:
    await desk.join("w", fingerprint="f1")
    await desk.enqueue("j1", class_="vision")
    await desk.redis.hset(desk.keys.named("worker", "w"), "modalities", "vision")
    attempt_id = await lose(desk)
    await desk.join("other", fingerprint="f2", modalities="vision")
    await desk.join("blind", fingerprint="f1")
    await desk.join("same", fingerprint="f1", modalities="vision")
    for worker in ("", "other", "blind", "same"):
        await desk.rung(worker)
    await desk.redis.hset(desk.keys.named("worker", "w"), "accepting", 0)
    assert await desk.resume(attempt_id) == [b"OK", b"vision,build=f1"]
    rung = [await desk.rung(worker) for worker in ("", "other", "blind", "same")]
    assert rung == [False, False, False, True]
    assert [(await desk.claim(worker))[1] for worker in ("other", "blind")] == [[], []]
    assert len((await desk.claim("same"))[1]) == 1


async def test_where_nothing_was_seen_any_worker_takes_it(desk: Desk) -> None:
    await desk.join("w", fingerprint="f1")
    await desk.enqueue("j1")
    assert await desk.resume(await lose(desk), fingerprint="") == [b"OK", b"any"]
    await desk.join("other", fingerprint="f2")
    assert len((await desk.claim("other"))[1]) == 1


async def test_second_loss_keeps_the_class(desk: Desk) -> None:
    await desk.join(fingerprint="f1")
    await desk.enqueue("j1")
    for _ in range(2):
        assert await desk.resume(await lose(desk)) == [b"OK", b"build=f1"]
    assert (await desk.job("j1"))["attempts"] == "2"


async def test_repeated_resume_happens_once(desk: Desk) -> None:
    await desk.join(fingerprint="f1")
    await desk.enqueue("j1")
    attempt_id = await lose(desk)
    await desk.resume(attempt_id, seen_cost=50)
    before = await desk.everything()
    assert await desk.resume(attempt_id, seen_cost=50) == [b"OK", b"build=f1"]
    assert await desk.everything() == before
    running = await desk.take()
    assert await desk.resume(attempt_id) == [b"OK", b"build=f1"]
    assert await desk.running() == [running]


@pytest.mark.parametrize("state", ["unknown", "cancelled", "running and cancelled", "rejected"])
async def test_job_that_is_over_does_not_go_on(desk: Desk, state: str) -> None:
    await desk.join(fingerprint="f1")
    if state != "unknown":
        await desk.enqueue("j1")
    if state in ("running and cancelled", "rejected"):
        attempt_id = await desk.take()
    if state == "rejected":
        await desk.finish(attempt_id, state="rejected")
    elif state != "unknown":
        await desk.cancel("j1")
    before = await desk.everything()
    assert await desk.resume("j1:n-1-1") == [b"GONE", state.partition(" ")[0].encode()]
    assert await desk.everything() == before


@pytest.mark.parametrize("state", ["queued", "running", "done"])
async def test_what_is_left_takes_the_place_of_an_older_submission(desk: Desk, state: str) -> None:
    """Redis was restored from an older copy, or an enqueue came late: the API knows better."""
    await desk.join(fingerprint="f1")
    await desk.enqueue("j1", "j2", estimate=5)
    attempt_ids = [await desk.take()] if state != "queued" else []
    if state == "done":
        await desk.finish(attempt_ids[0])
    assert await desk.resume("j1:n-1-1") == [b"OK", b"build=f1"]
    assert (await desk.queue(), await desk.running()) == (["j2", "j1"], [])
    assert await desk.cancels() == (attempt_ids if state == "running" else [])
    assert (await desk.take()).endswith("-2")
    assert (await desk.running())[0].startswith("j1:")


async def test_older_submission_of_what_is_left_changes_nothing(desk: Desk) -> None:
    await desk.join(fingerprint="f1")
    await desk.enqueue("j1")
    attempt_id = await lose(desk)
    await desk.resume(attempt_id, generation=3, body=b"newer")
    before = await desk.everything()
    assert await desk.resume(attempt_id, generation=2, body=b"older") == [b"GONE", b"queued"]
    assert await desk.enqueue("j1", generation=2, body=b"older") == [b"STALE", 3]
    assert await desk.everything() == before


async def test_attempt_that_begins_anew_what_was_seen_is_taken_off_its_worker(desk: Desk) -> None:
    """Redis has forgotten the attempt before it: none has failed."""
    await desk.join(fingerprint="f2")
    await desk.enqueue("j1", "j2", estimate=7, attempts=1)
    newer = await desk.take()
    assert await desk.resume(newer, estimate=5, seen_cost=3) == [b"OK", b"build=f1"]
    assert (await desk.emit(newer))[1:] == [newer.encode()]
    assert await desk.running() == []
    assert (await charged(desk), await served(desk)) == (0, 3)
    assert await desk.rung("w")
    await desk.join("same", fingerprint="f1")
    (attempt_id,) = (await desk.claim("same", 1))[1]
    assert attempt_id.startswith("j1:")
    assert await desk.release(attempt_id, "same", costs=0) == ["OK", "lost"]


async def test_attempt_that_has_ended_goes_on_where_its_last_words_were_lost(desk: Desk) -> None:
    await desk.join(fingerprint="f1")
    await desk.enqueue("j1")
    attempt_id = await desk.take()
    await desk.finish(attempt_id)
    assert await desk.resume(attempt_id) == [b"OK", b"build=f1"]
    assert await desk.redis.pttl(desk.keys.named("job", "j1")) > DEADLINE_MS
    again = await desk.take()
    assert await desk.finish(again) == "OK"
    assert await desk.counter("running") == 0


@pytest.mark.parametrize(("attempts", "crashes", "failed"), [(1, 9, 1), (9, 1, 1), (2, 9, 2)])
async def test_job_that_failed_often_enough_is_over(
    desk: Desk, attempts: int, crashes: int, failed: int
) -> None:
    await desk.join(fingerprint="f1")
    await desk.enqueue("j1", attempts=attempts, crashes=crashes)
    for _ in range(failed - 1):
        assert (await desk.resume(await lose(desk, crashed=1)))[0] == b"OK"
    attempt_id = await lose(desk, crashed=1)
    assert await desk.resume(attempt_id) == [b"SPENT", failed]
    assert (await desk.state("j1"), await desk.queue()) == ("failed", [])


async def test_job_that_its_api_leaves_lost_is_reaped_and_may_still_go_on(desk: Desk) -> None:
    """The API was late: it lives, and its client waits."""
    await desk.join(fingerprint="f1")
    await desk.enqueue("j1")
    attempt_id = await lose(desk)
    await desk.reap_after(LOST_MS - 1000)
    assert await desk.state("j1") == "lost"
    await desk.reap_after(2000)
    assert (await desk.state("j1"), (await desk.heard())[-1]) == ("failed", (attempt_id, "failed"))
    assert await desk.resume(attempt_id) == [b"OK", b"build=f1"]
    assert await desk.queue() == ["j1"]


async def test_lost_job_is_cancelled_at_once(desk: Desk) -> None:
    await desk.join(fingerprint="f1")
    await desk.enqueue("j1")
    attempt_id = await lose(desk)
    assert await desk.cancel("j1") == "lost"
    assert await desk.state("j1") == "cancelled"
    assert await desk.resume(attempt_id) == [b"GONE", b"cancelled"]


async def test_only_the_deadline_counts_after_a_loss(desk: Desk) -> None:
    await desk.join(fingerprint="f1")
    await desk.enqueue("j1")
    attempt_id = await desk.take()
    await desk.emit(attempt_id)
    desk.later(WAIT_MS + 1)
    await desk.heartbeat("a")
    await desk.release(attempt_id)
    before = await desk.job("j1")
    await desk.resume(attempt_id)
    after = await desk.job("j1")
    assert after["wait_until_ms"] == before["deadline_ms"] == after["deadline_ms"]
    assert (await desk.take()).startswith("j1:")


async def test_job_of_a_dead_bridge_goes_on(desk: Desk) -> None:
    await desk.join("w", fingerprint="f1")
    await desk.enqueue("j1")
    attempt_id = await desk.take()
    await desk.emit(attempt_id)
    await desk.reap()
    desk.later(LEASE_MS)
    await desk.heartbeat("a")
    await desk.reap_after(1000)
    assert await desk.heard() == [(attempt_id, "chunk"), (attempt_id, "lost")]
    assert await desk.resume(attempt_id) == [b"OK", b"build=f1"]
    await desk.join("same", fingerprint="f1")
    assert len((await desk.claim("same"))[1]) == 1


async def charged(desk: Desk, tenant: str = "ann") -> int:
    return int(await desk.redis.hget(desk.keys.named("charged"), f"default|{tenant}") or 0)


async def served(desk: Desk, tenant: str = "ann") -> float:
    return await desk.redis.zscore(desk.keys.named("served", "default"), tenant) or 0


async def test_tenant_is_charged_for_what_was_seen_and_what_is_left(desk: Desk) -> None:
    """Another job of the tenant waits all the time, so that its counter is kept."""
    await desk.join(fingerprint="f1")
    await desk.enqueue("j1", "j2", estimate=100)
    attempt_id = await lose(desk)
    assert (await charged(desk), await served(desk)) == (0, 0)
    await desk.resume(attempt_id, estimate=60, seen_cost=30)
    assert (await charged(desk), await served(desk)) == (0, 30)
    attempt_id = await lose(desk)
    await desk.resume(attempt_id, estimate=40, seen_cost=35)
    assert (await charged(desk), await served(desk)) == (0, 35)
    attempt_id = await desk.take()
    assert (attempt_id[:3], await charged(desk)) == ("j1:", 40)
    await desk.finish(attempt_id, cost=50)
    assert (await charged(desk), await served(desk)) == (0, 85)
