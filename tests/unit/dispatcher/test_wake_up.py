"""The bells: no job waits while a willing slot is free, and nobody is woken in vain for long."""

import pytest

from dispatcher.constants import RELIED_ON_MS
from dispatcher.protocol import PROTOCOL
from testing.desk import LEASE_MS, Desk
from testing.queued_jobs import queued_job

# On the fake their scripts take ten times as long.
pytestmark = pytest.mark.parametrize("redis_url", ["real"], indirect=True)


async def test_enqueue_rings(desk: Desk) -> None:
    await desk.enqueue("j1")
    assert await desk.rung()


async def rung_of(desk: Desk, *workers: str) -> list[str]:
    """Which of their own bells ring, and "all" for the one that all share; they are silent then."""
    rung = [worker for worker in workers if await desk.rung(worker)]
    return [*rung, "all"] if await desk.rung() else rung


async def test_enqueue_calls_the_fastest_with_room_alone(desk: Desk) -> None:
    """A slow one that has waited longest would hear the shared bell first."""
    workers = "fast", "equal", "slow"
    await desk.join("fast", 2, decode_tps=100)
    await desk.join("equal", 2, decode_tps=90)
    await desk.join("slow", 9, decode_tps=50)
    await rung_of(desk, *workers)
    called = []
    for job in ("j1", "j2", "j3", "j4", "j5"):
        await desk.enqueue(job)
        (worker,) = await rung_of(desk, *workers)
        await desk.claim(worker, 1)
        called.append(worker)
    assert sorted(called[:2]) == sorted(called[2:4]) == ["equal", "fast"]
    assert called[4:] == ["slow"]


async def test_enqueue_calls_the_preferred_one_alone(desk: Desk) -> None:
    await desk.join("one", 2, process="p")
    await desk.join("two", 2)
    await desk.enqueue("j1", prefixes=("talk",))
    await desk.finish(await desk.take("one"), "one")
    await rung_of(desk, "one", "two")
    await desk.enqueue("j2", prefixes=("talk",))
    assert await rung_of(desk, "one", "two") == ["one"]


async def test_ring_that_was_not_heard_is_followed_by_one_for_all(desk: Desk) -> None:
    await desk.join("fast", 2, decode_tps=100)
    await desk.join("slow", 2, decode_tps=50)
    await rung_of(desk, "fast", "slow")
    await desk.enqueue("j1")
    await desk.enqueue("j2")
    assert await rung_of(desk, "fast", "slow") == ["fast", "all"]


async def test_batch_that_one_worker_may_not_take_alone_calls_all(desk: Desk) -> None:
    await desk.join("fast", 2, decode_tps=100)
    await desk.join("slow", 2, decode_tps=50)
    await rung_of(desk, "fast", "slow")
    await desk.enqueue_together(queued_job("j1"), queued_job("j2"), queued_job("j3"))
    assert await rung_of(desk, "fast", "slow") == ["fast", "all"]


async def test_worker_that_was_silent_is_not_called_alone(desk: Desk) -> None:
    await desk.join("fast", 2, decode_tps=100)
    await desk.join("slow", 2, decode_tps=50)
    await rung_of(desk, "fast", "slow")
    desk.later(RELIED_ON_MS + 1)
    await desk.enqueue("j1")
    assert await rung_of(desk, "fast", "slow") == ["fast", "all"]


async def test_worker_of_another_protocol_is_not_called_alone(desk: Desk) -> None:
    await desk.join("fast", 2, decode_tps=100)
    await desk.join("slow", 2, decode_tps=50)
    await desk.redis.hset(desk.keys.named("worker", "fast"), "protocol", PROTOCOL + 1)
    await rung_of(desk, "fast", "slow")
    await desk.enqueue("j1")
    assert await rung_of(desk, "fast", "slow") == ["fast", "all"]


async def test_enqueue_calls_one_that_is_not_measured_first(desk: Desk) -> None:
    await desk.join("fast", decode_tps=100)
    await desk.join("new")
    await desk.rung("new")
    await desk.rung("fast")
    await desk.enqueue("j1")
    assert await desk.rung("new")
    assert not await desk.rung("fast")


async def test_enqueue_calls_none_of_equals(desk: Desk) -> None:
    await desk.join("one", decode_tps=100)
    await desk.join("two", decode_tps=81)
    await desk.rung("one")
    await desk.rung("two")
    await desk.enqueue("j1")
    assert not await desk.rung("one")
    assert not await desk.rung("two")
    assert await desk.rung()


async def test_claim_that_takes_all_silences_the_shared_bell(desk: Desk) -> None:
    await desk.join(slots=2)
    await desk.enqueue("j1")
    await desk.claim()
    assert not await desk.rung()


async def test_claim_that_leaves_work_rings_again(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1", "j2")
    await desk.rung()
    await desk.claim()
    assert await desk.rung()


async def test_claim_that_takes_all_is_silent(desk: Desk) -> None:
    await desk.join(slots=2)
    await desk.enqueue("j1", "j2")
    await desk.rung()
    await desk.claim()
    assert not await desk.rung()


async def test_claim_of_nothing_passes_the_ring_on(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1")
    await desk.rung()
    await desk.claim(most=0)
    assert await desk.rung()


async def test_claim_without_a_free_slot_passes_the_ring_on(desk: Desk) -> None:
    await desk.join(accepting=0)
    await desk.enqueue("j1")
    await desk.rung()
    await desk.claim()
    assert await desk.rung()


@pytest.mark.parametrize("how", ["finish", "release"])
async def test_full_worker_is_woken_when_a_slot_is_free(desk: Desk, how: str) -> None:
    await desk.join(slots=2)
    await desk.enqueue("j1", "j2")
    _, (attempt_id, _) = await desk.claim()
    await desk.rung("w")
    await (desk.finish(attempt_id) if how == "finish" else desk.release(attempt_id))
    assert await desk.rung("w")


@pytest.mark.parametrize("how", ["finish", "release"])
async def test_worker_with_room_is_not_woken_by_a_free_slot(desk: Desk, how: str) -> None:
    await desk.join(slots=3)
    await desk.enqueue("j1", "j2")
    _, (attempt_id, _) = await desk.claim()
    await desk.rung("w")
    await (desk.finish(attempt_id) if how == "finish" else desk.release(attempt_id))
    assert not await desk.rung("w")


async def test_released_job_rings_for_all(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1")
    attempt_id = await desk.take()
    await desk.rung()
    await desk.release(attempt_id)
    assert await desk.rung()


async def test_registration_wakes_the_worker(desk: Desk) -> None:
    await desk.join()
    assert await desk.rung("w")


@pytest.mark.parametrize(
    ("before", "after", "rings"),
    [
        ((1, 1), (2, 1), True),
        ((1, 0), (1, 1), True),
        ((2, 1), (1, 1), False),
        ((1, 1), (2, 0), False),
    ],
)
async def test_renew_that_gives_more_room_wakes_the_worker(
    desk: Desk, before: tuple[int, int], after: tuple[int, int], rings: bool
) -> None:
    await desk.join(slots=before[0], accepting=before[1])
    await desk.rung("w")
    await desk.renew(slots=after[0], accepting=after[1])
    assert await desk.rung("w") is rings


async def test_renew_that_frees_a_slot_wakes_the_worker(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1")
    await desk.take()
    await desk.rung("w")
    desk.later(6000)
    await desk.renew()
    assert await desk.rung("w")


async def test_dead_workers_job_rings_for_all(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1")
    await desk.take()
    await desk.rung()
    await desk.reap_after(LEASE_MS)
    assert await desk.rung()


async def test_private_bell_is_not_rung_for_ever(desk: Desk) -> None:
    await desk.join()
    assert await desk.redis.pttl(desk.keys.named("bell_of", "w")) > 0
