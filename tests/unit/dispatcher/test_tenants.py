"""Tenants are served in turn, whatever they are called and however much each one queues."""

import pytest

from dispatcher.job import tenant_key
from testing.desk import Desk

# On the fake their scripts take ten times as long.
pytestmark = pytest.mark.parametrize("redis_url", ["real"], indirect=True)

NAMES = ["a", "ab", "a|b", "a|", "|", "a:b", "a b", "ä", "日本", "a\x00", "a%7Cb", "default"]


async def served(desk: Desk, number: int, *, finish: bool = False) -> list[str]:
    """The tenants of the next jobs, in the order in which they are claimed."""
    tenants = []
    for _ in range(number):
        attempt_id = await desk.take()
        tenants.append((await desk.job(attempt_id.split(":")[0]))["tenant"])
        if finish:
            await desk.finish(attempt_id)
    return tenants


async def test_light_tenant_does_not_wait_for_the_heavy_one(desk: Desk) -> None:
    await desk.join(slots=9)
    await desk.enqueue(*(f"h{number}" for number in range(500)), tenant="heavy")
    await served(desk, 2)
    await desk.enqueue("one", tenant="light")
    assert "light" in await served(desk, 2)


async def test_tenants_take_turns(desk: Desk) -> None:
    await desk.join(slots=9)
    await desk.enqueue("a1", "a2", "a3", tenant="ann")
    await desk.enqueue("b1", "b2", "b3", tenant="bob")
    assert await served(desk, 6) == ["ann", "bob"] * 3


async def test_costly_jobs_count_for_more(desk: Desk) -> None:
    await desk.join(slots=9)
    await desk.enqueue("a1", "a2", tenant="ann", estimate=3)
    await desk.enqueue("b1", "b2", "b3", "b4", tenant="bob", estimate=1)
    assert await served(desk, 6) == ["ann", "bob", "bob", "bob", "ann", "bob"]


async def test_tenant_that_returns_does_not_catch_up_on_its_absence(desk: Desk) -> None:
    await desk.join(slots=99)
    await desk.enqueue(*(f"a{number}" for number in range(20)), tenant="ann")
    await served(desk, 10, finish=True)
    await desk.enqueue(*(f"b{number}" for number in range(10)), tenant="bob")
    assert (await served(desk, 6)).count("ann") == 3


async def test_leaving_for_a_moment_clears_no_debt(desk: Desk) -> None:
    await desk.join(slots=99)
    await desk.enqueue(*(f"b{number}" for number in range(9)), tenant="bob", estimate=1)
    await desk.enqueue("a1", tenant="ann", estimate=5)
    assert await served(desk, 2) == ["bob", "ann"]
    await desk.enqueue("a2", tenant="ann", estimate=5)
    assert await served(desk, 7) == ["bob"] * 5 + ["ann", "bob"]


async def test_ever_new_tenants_do_not_starve_one_who_waits(desk: Desk) -> None:
    """At equal turns names decided: each that began with an a went first."""
    await desk.join(slots=99)
    await desk.enqueue("z", tenant="zoe")
    turns = []
    for number in range(5):
        await desk.enqueue(f"a{number}", tenant=f"a{number}")
        turns += await served(desk, 1)
    assert turns[0] == "zoe"
    assert turns[1:] == [f"a{number}" for number in range(4)]


async def test_who_was_served_long_ago_does_not_wait_for_a_newcomer(desk: Desk) -> None:
    await desk.join(slots=99)
    await desk.enqueue(*(f"o{number}" for number in range(30)), tenant="old")
    await served(desk, 30, finish=True)
    await desk.enqueue(*(f"n{number}" for number in range(30)), tenant="new")
    await desk.enqueue("o99", tenant="old")
    assert "old" in await served(desk, 2)


async def test_released_job_is_not_charged(desk: Desk) -> None:
    await desk.join(slots=9)
    await desk.enqueue("a1", "a2", tenant="ann", estimate=9)
    await desk.enqueue("b1", "b2", tenant="bob")
    await desk.release(await desk.take(), costs=0)
    assert await served(desk, 2) == ["ann", "bob"]


async def test_counters_do_not_grow_with_the_tenants_ever_seen(desk: Desk) -> None:
    await desk.join(slots=99)
    for number in range(20):
        await desk.enqueue(f"j{number}", tenant=f"t{number}")
    _, attempt_ids = await desk.claim()
    for attempt_id in attempt_ids:
        await desk.finish(attempt_id)
    assert await desk.of_jobs() == []


@pytest.mark.parametrize("heavy", NAMES)
@pytest.mark.parametrize("light", ["a", "a|b"])
async def test_tenants_with_odd_names_are_told_apart(desk: Desk, heavy: str, light: str) -> None:
    await desk.join(slots=9)
    await desk.enqueue("h1", "h2", "h3", tenant=tenant_key(heavy))
    if heavy != light:
        await desk.enqueue("l1", tenant=tenant_key(light))
        assert tenant_key(light) in await served(desk, 2)
    await desk.claim()
    assert await desk.queue() == []
    assert not await desk.redis.exists(desk.keys.named("turns", "any"))
