"""lua/position.lua: how many are likely to go first; exact where all cost the same."""

import pytest

from testing.desk import Desk

# On the fake their scripts take ten times as long.
pytestmark = pytest.mark.parametrize("redis_url", ["real"], indirect=True)


async def positions(desk: Desk, *jobs: str) -> list[int]:
    _, _, *found = await desk.commands.position(jobs)
    return [int(number) for number in found]


async def test_one_tenants_jobs_stand_in_line(desk: Desk) -> None:
    await desk.enqueue("j1", "j2", "j3")
    assert await positions(desk, "j3", "j1", "j2") == [3, 1, 2]


async def test_newcomer_stands_before_a_long_line(desk: Desk) -> None:
    await desk.join(slots=9)
    await desk.enqueue(*(f"h{number}" for number in range(100)), tenant="heavy")
    await desk.claim(most=4)
    await desk.enqueue("one", tenant="light")
    assert await positions(desk, "one") == [1]


@pytest.mark.parametrize("tenants", [1, 2, 5])
async def test_positions_are_the_order_of_the_claims(desk: Desk, tenants: int) -> None:
    await desk.join(slots=99)
    jobs = [f"j{number}" for number in range(20)]
    for number, job in enumerate(jobs):
        await desk.enqueue(job, tenant=f"t{number % tenants}")
    expected = await positions(desk, *jobs)
    _, attempt_ids = await desk.claim()
    claimed = [attempt_id.rpartition(":")[0] for attempt_id in attempt_ids]
    assert [expected[jobs.index(job)] for job in claimed] == list(range(1, 21))


async def test_flex_stands_behind_all_that_goes_first(desk: Desk) -> None:
    await desk.enqueue("f1", tenant="ann", tier="flex")
    await desk.enqueue(*(f"j{number}" for number in range(3)), tenant="bob")
    assert await positions(desk, "f1") == [4]


async def test_what_is_not_queued_has_no_position(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1")
    await desk.take()
    assert await positions(desk, "j1", "never") == [0, 0]


async def test_slots_and_mean_time_are_told(desk: Desk) -> None:
    await desk.join("v", 3)
    await desk.join("w", 1)
    await desk.enqueue("j1")
    attempt_id = await desk.take()
    desk.later(8000)
    await desk.finish(attempt_id)
    slots, mean_ms = await desk.commands.position(())
    assert slots == 4
    assert 8000 <= float(mean_ms) < 9000
