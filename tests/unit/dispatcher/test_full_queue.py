"""A full queue has room for who has less in it: who has most in it gives up the newest."""

import pytest

from testing.desk import Desk

BOUNDS = (4, 100)


async def fill(desk: Desk, *jobs: str, body: bytes = b"1234567890", **more: str) -> None:
    for job in jobs:
        assert (await desk.enqueue(job, body=body, bounds=BOUNDS, **more))[0] == b"OK"  # type: ignore[arg-type]


async def come(desk: Desk, body: bytes = b"x") -> bytes:
    """The verdict on a tenant that has nothing in the queue."""
    return bytes((await desk.enqueue("new", tenant="new", body=body, bounds=BOUNDS))[0])


async def test_tenant_with_most_jobs_loses_the_newest(desk: Desk) -> None:
    """At d26fdb4 (H4) one tenant filled the queue, and all others got 429."""
    await fill(desk, "b1", tenant="bob")
    await fill(desk, "a1", "a2", "a3")
    answer = await desk.enqueue("new", tenant="new", body=b"x", bounds=BOUNDS)
    assert answer == [b"OK", 4, 1]  # its only job, the last of four
    assert sorted(await desk.queue()) == ["a1", "a2", "b1", "new"]
    assert (await desk.heard(), await desk.state("a3")) == ([("a3:-1", "dropped")], "dropped")
    assert not await desk.redis.exists(desk.keys.named("body", "a3"))
    assert await desk.counter("queued_bytes") == 31


async def test_its_end_users_share_its_part(desk: Desk) -> None:
    await fill(desk, "b1", tenant="bob")
    for user in ("u3", "u1", "u2"):
        await fill(desk, user, user=user)
    assert await come(desk) == b"OK"
    assert sorted(await desk.queue()) == ["b1", "new", "u1", "u3"]


async def test_the_lowest_tier_loses_first(desk: Desk) -> None:
    await fill(desk, "cheap", tier="flex")
    await fill(desk, "dear", "dearer", tier="priority")
    await fill(desk, "plain")
    assert await come(desk) == b"OK"
    assert await desk.state("cheap") == "dropped"


async def test_jobs_of_all_classes_are_looked_at(desk: Desk) -> None:
    await fill(desk, "a1", "a2", "a3")
    await fill(desk, "eyes", class_="vision")
    assert await come(desk) == b"OK"
    assert await desk.state("eyes") == "dropped"


async def test_tenant_with_most_bytes_loses_as_many_as_are_needed(desk: Desk) -> None:
    await fill(desk, "b1", tenant="bob", body=b"x" * 20)
    await fill(desk, "a1", "a2", "a3", body=b"x" * 25)
    assert await come(desk, b"x" * 50) == b"OK"
    assert sorted(await desk.queue()) == ["a1", "b1", "new"]
    assert await desk.counter("queued_bytes") == 95


async def test_single_job_is_kept_and_the_newcomer_is_refused(desk: Desk) -> None:
    for tenant in "abcd":
        await fill(desk, tenant, tenant=tenant)
    before = await desk.everything()
    assert await come(desk) == b"FULL"
    assert await desk.everything() == before


async def test_where_one_tenant_can_make_no_room_nothing_is_dropped(desk: Desk) -> None:
    await fill(desk, "a1", "a2", body=b"x" * 30)
    await fill(desk, "b1", tenant="bob", body=b"x" * 40)
    before = await desk.everything()
    assert await come(desk, b"x" * 31) == b"FULL"
    assert await desk.everything() == before
    assert await come(desk, b"x" * 30) == b"OK"


async def test_tenant_that_has_less_gets_in_until_it_has_as_much(desk: Desk) -> None:
    await fill(desk, "b1", tenant="bob")
    await fill(desk, "a1", "a2", "a3")
    await fill(desk, "b2", tenant="bob")
    assert sorted(await desk.queue()) == ["a1", "a2", "b1", "b2"]
    before = await desk.everything()
    for tenant in "bob", "ann":
        assert (await desk.enqueue("x", tenant=tenant, bounds=BOUNDS))[0] == b"FULL"
    assert await desk.everything() == before


async def test_tenant_that_has_fewer_bytes_gets_in_until_it_has_as_many(desk: Desk) -> None:
    await fill(desk, "b1", tenant="bob", body=b"x" * 20)
    await fill(desk, "a1", "a2", body=b"x" * 40)
    before = await desk.everything()
    refused = await desk.enqueue("b2", tenant="bob", body=b"x" * 25, bounds=BOUNDS)
    assert (refused[0], await desk.everything()) == (b"FULL", before)
    await fill(desk, "b2", tenant="bob", body=b"x" * 10)
    assert sorted(await desk.queue()) == ["a1", "b1", "b2"]


async def test_large_jobs_make_room_for_small_ones_of_who_has_more_of_them(desk: Desk) -> None:
    await fill(desk, "b1", "b2", tenant="bob", body=b"x")
    await fill(desk, "large", body=b"x" * 97)
    assert (await desk.enqueue("b3", tenant="bob", body=b"xx", bounds=BOUNDS))[0] == b"FULL"
    await desk.cancel("large")
    await fill(desk, "a1", "a2", body=b"x" * 49)
    await desk.cancel("b2")
    await fill(desk, "b4", tenant="bob", body=b"xx")
    assert sorted(await desk.queue()) == ["a1", "b1", "b4"]


async def test_job_that_a_bridge_has_held_is_never_dropped(desk: Desk) -> None:
    await desk.join(slots=3)
    await fill(desk, "a1", "a2", "a3")
    for attempt_id in (await desk.claim())[1]:
        await desk.release(attempt_id, costs=0)
    await fill(desk, "b1", tenant="bob")
    assert await come(desk) == b"FULL"
    await desk.cancel("b1")
    await fill(desk, "a4")
    assert await come(desk) == b"OK"
    assert sorted(await desk.queue()) == ["a1", "a2", "a3", "new"]


async def test_bytes_of_a_tenant_are_those_that_wait(desk: Desk) -> None:
    await desk.join()
    await fill(desk, "a1", "a2")
    key = desk.keys.named("waiting_bytes")
    await desk.take()
    assert await desk.redis.zscore(key, "ann") == 10
    await desk.cancel("a2")
    assert not await desk.redis.exists(key, desk.keys.named("waiting"))


@pytest.mark.parametrize("end", ["claimed", "cancelled", "expired", "superseded"])
async def test_key_that_a_job_supersedes_ends_with_its_time_in_the_queue(
    desk: Desk, end: str
) -> None:
    """At d26fdb4 (M6) such keys outlived their jobs by more than an hour: Redis grew."""
    await desk.join()
    key = desk.keys.named("supersede", "ann|-|line")
    await desk.enqueue("old", supersedes="line", wait_ms=500)
    assert await desk.redis.get(key) == b"old"
    if end == "claimed":
        await desk.take()
    if end == "cancelled":
        await desk.cancel("old")
    if end == "expired":
        await desk.reap_after(1000)
    if end == "superseded":
        await desk.enqueue("newer", supersedes="line")
        assert await desk.redis.get(key) == b"newer"
        await desk.cancel("newer")
    assert not await desk.redis.exists(key)


async def test_job_that_is_back_in_the_queue_can_be_superseded_again(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("old", supersedes="line")
    await desk.release(await desk.take(), costs=0)
    await desk.enqueue("new", supersedes="line")
    assert (await desk.state("old"), await desk.queue()) == ("superseded", ["new"])


async def test_bounds_let_a_request_in_as_a_whole_or_not_at_all(desk: Desk) -> None:
    await fill(desk, "b1", "b2", "b3", tenant="bob")
    for job in ("piece0", "piece1", "piece2"):
        verdict = await desk.enqueue(
            job, bounds=BOUNDS, tenant_bounds=(1, 0), is_admitted=int(job != "piece0")
        )
        assert verdict[0] == b"OK"
    assert (await desk.enqueue("next", bounds=BOUNDS))[0] == b"FULL"
    assert (await desk.enqueue("next", tenant_bounds=(1, 0)))[0] == b"TENANT_FULL"
