"""New conversations go where there are fewest: each stays with the worker that has its cache."""

import pytest

from testing.desk import Desk
from testing.queued_jobs import jobs_of

# On the fake their scripts take ten times as long.
pytestmark = pytest.mark.parametrize("redis_url", ["real"], indirect=True)

TOKENS = 1000


async def join(desk: Desk, worker: str, slots: int, **facts: float) -> None:
    await desk.join(worker, slots, process="p", **facts)


async def crowd(desk: Desk, there: int = 2, here_tps: float = 0, there_tps: float = 0) -> None:
    """`v` has one of two slots free, and bob's `next` and `later` prefer it; `w` is full.

    A new job of ann is first: bob was served more than may be passed over for a cache.
    """
    await join(desk, "v", 2, decode_tps=here_tps)
    await desk.enqueue("b0", tenant="bob", prefixes=("talk0",))
    await desk.finish(await desk.take("v"), "v")
    await join(desk, "w", there, decode_tps=there_tps)
    others = [f"b{number + 1}" for number in range(there)]
    await desk.enqueue(*others, tenant="bob", estimate=2001 * TOKENS)
    await desk.claim("w")
    await desk.enqueue("running", tenant="bob")
    await desk.claim("v", 1)
    await desk.enqueue("next", "later", tenant="bob", prefixes=("talk1", "talk0"))


async def claim_one(desk: Desk, worker: str = "v") -> list[str]:
    return jobs_of((await desk.claim(worker, 1))[1])


async def test_new_conversation_is_given_to_the_worker_that_has_fewest(desk: Desk) -> None:
    await crowd(desk)
    await desk.enqueue("anns")
    assert await claim_one(desk) == ["next"]
    assert (await desk.job("anns"))["prefers"] == "w"
    assert await finish_one(desk, "w") == ["anns"]


async def finish_one(desk: Desk, worker: str) -> list[str]:
    """The jobs that take the place of the one that has run for longest."""
    _, _, _, *rows = await desk.finish_raw((await desk.running(worker))[0], worker, 1)
    return jobs_of([row[0].decode() for row in rows])


@pytest.mark.parametrize(("after_ms", "first"), [(1000, "later"), (2000, "anns")])
async def test_it_waits_for_that_one_for_a_while_only(
    desk: Desk, after_ms: int, first: str
) -> None:
    await crowd(desk)
    await desk.enqueue("anns")
    assert int((await desk.claim_raw("v", 1))[2]) == 2000
    desk.later(after_ms)
    assert await finish_one(desk, "v") == [first]


async def test_that_one_does_not_have_to_wait(desk: Desk) -> None:
    await crowd(desk)
    await desk.enqueue("anns")
    await claim_one(desk)
    await join(desk, "x", 1)
    assert await claim_one(desk, "x") == ["anns"]


@pytest.mark.parametrize(
    ("there", "here_tps", "there_tps", "first"),
    [
        (1, 0, 0, "next"),  # a slot would have 2 jobs there, 5/2 here
        (4, 0, 20, "next"),  # 5/4
        (2, 20, 11, "next"),  # 3/2
        (2, 20, 10, "anns"),  # 3/2 that take twice as long
        (1, 10, 20, "next"),  # 2, though twice as fast
    ],
)
async def test_slots_and_speed_count(
    desk: Desk, there: int, here_tps: float, there_tps: float, first: str
) -> None:
    await crowd(desk, there, here_tps, there_tps)
    await desk.enqueue("anns")
    assert await claim_one(desk) == [first]


async def test_more_urgent_one_is_not_given_away(desk: Desk) -> None:
    await crowd(desk)
    await desk.enqueue("anns", tier="priority")
    assert await claim_one(desk) == ["anns"]


@pytest.mark.parametrize("fact", ["accepting", "slots", "epoch"])
async def test_nothing_is_given_to_a_worker_that_takes_none_or_has_room(
    desk: Desk, fact: str
) -> None:
    await crowd(desk)
    if fact == "epoch":
        await desk.redis.delete(desk.keys.named("worker", "w"))
    else:
        value = {"accepting": 0, "slots": 3}[fact]
        await desk.redis.hset(desk.keys.named("worker", "w"), fact, value)
    await desk.enqueue("anns")
    assert await claim_one(desk) == ["anns"]


async def test_worker_without_a_conversation_of_its_own_takes_new_ones(desk: Desk) -> None:
    await join(desk, "v", 2)
    await join(desk, "w", 2)
    await desk.enqueue("a", "b", "c")
    assert (await desk.claim("w"), await claim_one(desk))[1] == ["c"]


async def test_no_slot_stays_empty_for_it(desk: Desk) -> None:
    await crowd(desk, 4)
    await desk.cancel("later")
    await join(desk, "v", 3)
    await desk.enqueue("anns")
    assert jobs_of((await desk.claim("v"))[1]) == ["next", "anns"]


async def test_nor_where_the_tenant_of_its_conversations_may_have_no_more_run(desk: Desk) -> None:
    await crowd(desk)
    for job in ("next", "later", "b0"):
        await desk.cancel(job)
    bound = {"tenant": "cy", "tenant_bounds": (0, 1), "prefixes": ("talk0",)}
    await desk.enqueue("cys", **bound)
    await desk.join("v", 3, process="p")
    assert await claim_one(desk) == ["cys"]
    await desk.enqueue("cys too", "cys three", **bound)
    await desk.enqueue("anns", tenant="ann", estimate=1)
    assert await claim_one(desk) == ["anns"]
