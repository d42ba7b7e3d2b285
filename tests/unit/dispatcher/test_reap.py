"""lua/reap.lua: what the dead held is recovered, but nobody is taken for dead after an outage."""

import pytest

from testing.desk import LEASE_MS, Desk
from testing.queued_jobs import DEADLINE_MS, WAIT_MS

# On the fake their scripts take ten times as long.
pytestmark = pytest.mark.parametrize("redis_url", ["real"], indirect=True)


async def test_job_of_a_dead_worker_goes_back_to_its_old_place(desk: Desk) -> None:
    await desk.join(slots=2)
    await desk.enqueue("j1", "j2", "j3")
    _, attempt_ids = await desk.claim()
    assert await desk.reap_after(LEASE_MS) == [b"OK", 1, 2, 0, 0]
    assert await desk.queue() == ["j1", "j2", "j3"]
    assert sorted(await desk.heard()) == sorted(
        (attempt_id, "revoked") for attempt_id in attempt_ids
    )


async def test_nothing_is_left_of_a_dead_worker(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1")
    await desk.take()
    await desk.cancel("j1")
    await desk.reap_after(LEASE_MS)
    names = ("worker", "running", "cancels", "bell_of")
    assert not await desk.redis.exists(*(desk.keys.named(name, "w") for name in names))
    assert await desk.redis.zcard(desk.keys.named("workers")) == 0


async def test_living_worker_keeps_its_jobs(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1")
    attempt_id = await desk.take()
    assert await desk.reap_after(LEASE_MS - 1000) == [b"OK", 0, 0, 0, 0]
    assert await desk.running() == [attempt_id]


@pytest.mark.parametrize(("attempts", "crashes"), [(1, 9), (2, 9)])
async def test_death_of_a_worker_costs_an_attempt(desk: Desk, attempts: int, crashes: int) -> None:
    await desk.join()
    await desk.enqueue("j1", attempts=attempts, crashes=crashes)
    await desk.take()
    await desk.reap_after(LEASE_MS)
    assert await desk.state("j1") == ("failed" if attempts == 1 else "queued")


async def test_job_that_a_client_has_seen_is_lost_with_its_worker(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1")
    await desk.emit(await desk.take())
    await desk.reap_after(LEASE_MS)
    told = (await desk.told())[-1]
    assert (told.kind, b"worker_failed" in told.payload) == ("lost", True)


async def test_second_reaper_is_idle_within_900_ms(desk: Desk) -> None:
    await desk.reap()
    before = await desk.everything()
    assert await desk.commands.reap(LEASE_MS, 100) == [b"IDLE"]
    assert await desk.everything() == before


async def test_after_an_outage_leases_are_extended(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1")
    attempt_id = await desk.take()
    await desk.reap()
    desk.later(100 * LEASE_MS)
    assert await desk.reap() == [b"EXTENDED"]
    assert await desk.reap() == [b"OK", 0, 0, 1, 0]  # the deadline has passed all the same
    assert await desk.running() == [attempt_id]


async def test_outage_that_is_shorter_than_the_lease_costs_nobody_what_is_left_of_it(
    desk: Desk,
) -> None:
    """It begins just before the next heartbeat would have come."""
    await desk.reap()
    await desk.commands.api_heartbeat("a", 4000, "0-0", 0, "boot", ())
    for later_ms in (1000, 2800, 900):
        desk.later(later_ms)
        await desk.commands.reap(4000, 100)
    assert await desk.redis.zcard(desk.keys.named("apis")) == 1


async def test_who_is_dead_after_an_outage_is_found_one_lease_later(desk: Desk) -> None:
    await desk.join()
    await desk.reap()
    desk.later(100_000)
    await desk.reap()
    assert (await desk.reap_after(LEASE_MS + 1000))[1] == 1


async def test_clock_that_steps_back_kills_nobody(desk: Desk) -> None:
    desk.later(3_600_000)
    await desk.join()
    await desk.enqueue("j1")
    attempt_id = await desk.take()
    await desk.reap()
    desk.later(-3_600_000)
    await desk.heartbeat("a")
    assert await desk.reap() == [b"EXTENDED"]
    until = await desk.redis.zscore(desk.keys.named("workers"), "w")
    assert until <= await desk.now_ms() + LEASE_MS
    assert await desk.running() == [attempt_id]


async def test_queued_job_expires_and_its_client_is_told(desk: Desk) -> None:
    await desk.enqueue("j1")
    assert (await desk.reap_after(WAIT_MS - 5000))[3] == 0
    await desk.heartbeat("a")
    assert (await desk.reap_after(6000))[3] == 1
    assert (await desk.queue(), await desk.state("j1")) == ([], "expired")
    assert await desk.heard() == [("j1:-1", "expired")]
    assert await desk.counter("queued_bytes") == 0


async def test_running_job_past_its_deadline_is_cancelled_at_its_worker(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1", deadline_ms=9000)
    attempt_id = await desk.take()
    await desk.reap_after(9000)
    assert await desk.cancels() == [attempt_id]
    assert (await desk.renew(attempt_id))[2] == [attempt_id.encode()]


async def test_running_job_is_not_expired_by_the_wait_limit(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1", wait_ms=2000)
    attempt_id = await desk.take()
    await desk.reap_after(5000)
    assert (await desk.cancels(), await desk.running()) == ([], [attempt_id])


async def test_running_job_whose_worker_nobody_knows_expires(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1", deadline_ms=9000)
    attempt_id = await desk.take()
    names = ("worker", "running")
    await desk.redis.delete(*(desk.keys.named(name, "w") for name in names))
    await desk.reap_after(9000)
    assert (await desk.state("j1"), await desk.heard()) == ("expired", [(attempt_id, "expired")])


async def test_dead_api_leaves_no_keys(desk: Desk) -> None:
    await desk.reap_after(6 * LEASE_MS)
    assert not await desk.redis.exists(desk.keys.named("replies", "a"), desk.keys.named("api", "a"))
    assert await desk.redis.zcard(desk.keys.named("apis")) == 0


async def test_dead_workers_job_of_a_dead_api_is_abandoned(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1", deadline_ms=10 * DEADLINE_MS)
    await desk.take()
    assert await desk.reap_after(6 * LEASE_MS) == [b"OK", 1, 1, 0, 1]
    assert (await desk.state("j1"), await desk.queue()) == ("abandoned", [])


async def test_reap_rings_when_jobs_wait(desk: Desk) -> None:
    await desk.enqueue("j1")
    await desk.rung()
    await desk.reap_after(2000)
    assert await desk.rung()


async def test_reap_handles_no_more_than_its_limit_at_once(desk: Desk) -> None:
    await desk.enqueue("j1", "j2", "j3", wait_ms=2000)
    await desk.reap_after(1000)
    desk.later(2000)
    answers = [await desk.commands.reap(LEASE_MS, 2)]
    desk.later(1000)
    answers.append(await desk.commands.reap(LEASE_MS, 2))
    assert [answer[3] for answer in answers] == [2, 1]
