"""Jobs that need no slot of a server run beside those that have one, and wait for none."""

from typing import Any

import pytest

from dispatcher.commands import NOT_RUNG, Identity, Offer, Wish
from dispatcher.constants import SIDE_PLACES
from dispatcher.keys import MODELS
from dispatcher.needs import Needs, read_needs
from dispatcher.patience import EAGER
from dispatcher.registry import read_models
from testing.desk import Desk

SIDE = "side"
MANY = [f"s{n}" for n in range(SIDE_PLACES + 2)]


@pytest.fixture
async def full(desk: Desk) -> Desk:
    """A worker whose only slot is taken, and a job that waits for it."""
    await desk.join(slots=1)
    await desk.enqueue("j1", "j2")
    await desk.take()
    await desk.rung()
    return desk


async def rung_aside(desk: Desk) -> bool:
    return bool(await desk.redis.delete(desk.keys.named("side_bell")))


async def claim(
    desk: Desk, slots: int, sides: int, nonce: str = "m"
) -> tuple[list[int], list[str]]:
    """The free slots and side places that are left, and the claimed jobs."""
    wish = Wish(Offer(slots, sides), nonce, 0, EAGER)
    _, free, _, free_sides, *rows = await desk.commands.claim(Identity("w", "e"), wish)
    return [free, free_sides], [row[0].decode().partition(":")[0] for row in rows]


async def test_side_job_waits_for_no_slot(full: Desk) -> None:
    await full.enqueue("s1", class_=SIDE)
    assert (await full.claim())[1][0].startswith("s1:")
    assert await full.queue() == ["j2"]


async def test_worker_has_so_many_side_places_and_its_slots(full: Desk) -> None:
    await full.enqueue(*MANY, class_=SIDE)
    assert await claim(full, 9, 9) == ([0, 0], MANY[:SIDE_PLACES])
    assert await claim(full, 9, 9, "n") == ([0, 0], [])
    assert sorted(await full.queue()) == ["j2", *MANY[SIDE_PLACES:]]
    (in_slot,) = [attempt_id for attempt_id in await full.running() if attempt_id.startswith("j")]
    assert (await full.finish_raw(in_slot))[3][0].startswith(b"j2:")
    await full.redis.zadd(MODELS, {"tiny": await full.now_ms() / 1000})
    (model,) = await read_models(full.redis)
    assert [worker.running for worker in model.workers] == [1]


async def test_repeated_claim_finds_them_again(full: Desk) -> None:
    await full.enqueue("s1", class_=SIDE)
    first = await claim(full, 9, 9)
    assert (first, first) == (([0, 3], ["s1"]), await claim(full, 9, 9))


async def test_bell_for_side_jobs_is_their_own(full: Desk) -> None:
    await full.enqueue("s1", class_=SIDE)
    assert (await full.rung(), await rung_aside(full)) == (False, True)


async def test_who_came_for_side_jobs_passes_on_no_ring_for_slots(full: Desk) -> None:
    await full.enqueue(*MANY, class_=SIDE)
    await rung_aside(full)
    assert (await claim(full, NOT_RUNG, 9))[1] == MANY[:SIDE_PLACES]
    assert (await full.rung(), await rung_aside(full)) == (False, True)  # more of them wait
    assert (await claim(full, 9, NOT_RUNG, "n"))[1] == []
    assert (await full.rung(), await rung_aside(full)) == (True, False)


async def test_worker_that_is_full_of_them_is_told_of_room(full: Desk) -> None:
    await full.enqueue(*MANY[:SIDE_PLACES], class_=SIDE)
    await claim(full, 0, 9)
    first, second, *_ = [
        attempt_id for attempt_id in await full.running() if attempt_id.startswith("s")
    ]
    await full.rung("w")
    await full.finish(first)
    bell = full.keys.named("bell_of", "w")
    assert await full.redis.zrange(bell, 0, -1) == [b"side_room"]
    await full.rung("w")
    await full.finish(second)
    assert not await full.rung("w")  # it listens already


async def test_ended_one_makes_room_for_the_next(full: Desk) -> None:
    await full.enqueue(*MANY, class_=SIDE)
    await claim(full, 0, 9)
    attempt_id = next(
        attempt_id for attempt_id in await full.running() if attempt_id.startswith("s0:")
    )
    *_, following = await full.finish_raw(attempt_id, most=0)
    assert following[0].startswith(f"{MANY[SIDE_PLACES]}:".encode())


async def test_it_costs_what_was_expected_and_says_nothing_of_answers(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("s1", class_=SIDE, estimate=2500)
    attempt_id = await desk.take()
    await desk.enqueue("j2", tenant="bob")
    await desk.finish(attempt_id, cost=0)
    assert (await desk.job("s1"))["cost"] == "2500"
    assert await desk.counter("mean_completion_tokens") == 0
    assert [await desk.counter(name) for name in ("running", "sides_running")] == [0, 0]


async def test_tenant_pays_for_them_with_its_turn(desk: Desk) -> None:
    await desk.join(slots=1)
    await desk.enqueue("j0")
    await desk.enqueue("j1", tenant="bob", estimate=10)
    await desk.enqueue("j2", "s1", tenant="ann", estimate=10)
    first = await desk.take()
    await desk.enqueue("s2", class_=SIDE, estimate=5000, tenant="ann")
    await claim(desk, 0, 9)
    assert (await desk.finish_raw(first))[3][0].startswith(b"j1:")


async def test_bound_of_running_jobs_is_one_of_slots(desk: Desk) -> None:
    await desk.join(slots=2)
    await desk.enqueue("j1", "j2", tenant_bounds=(0, 1))
    await desk.take()  # its tenant is parked
    await desk.enqueue("s1", "s2", class_=SIDE, tenant_bounds=(0, 1))
    assert [attempt_id[:3] for attempt_id in (await desk.claim(max_running=1))[1]] == ["s1:", "s2:"]


async def test_worker_that_takes_no_jobs_takes_none(full: Desk) -> None:
    await full.renew(accepting=0)
    await full.enqueue("s1", class_=SIDE)
    assert await claim(full, 0, 9) == ([0, 0], [])


async def test_those_of_a_dead_worker_go_elsewhere(full: Desk) -> None:
    await full.enqueue("s1", class_=SIDE)
    await claim(full, 0, 9)
    await full.join("v")
    await full.reap()
    await full.redis.zadd(full.keys.named("workers"), {"w": 1})
    await full.reap()
    assert sorted(await full.queue()) == ["j1", "j2", "s1"]
    assert [await full.counter(name) for name in ("running", "sides_running")] == [0, 0]


async def test_lost_one_is_given_back_when_its_claim_has_come(full: Desk) -> None:
    await full.enqueue("s1", class_=SIDE)
    await claim(full, 0, 9)
    (held,) = [attempt_id for attempt_id in await full.running() if attempt_id.startswith("j")]
    await full.renew(held)
    assert len(await full.running()) == 2
    full.later(6000)
    await full.renew(held)
    assert await full.running() == [held]
    assert sorted(await full.queue()) == ["j2", "s1"]


async def test_count_of_all_finds_the_same(full: Desk) -> None:
    await full.enqueue("s1", "s2", class_=SIDE)
    await claim(full, 0, 1)
    before = await full.everything()
    await full.redis.hset(full.keys.named("counters"), "recount", 1)
    await full.reap()
    after = await full.everything()
    same = ("charged", "classes", "running:w", "turns:any", "turns:side")
    for name in same:
        key = f"{full.keys.prefix}{name}"
        assert after[key] == before[key]
    assert [await full.counter(name) for name in ("running", "sides_running")] == [1, 1]


async def test_worker_is_not_called_for_what_it_has_no_room_for(desk: Desk) -> None:
    """Classes that not every worker takes call one by its own bell."""
    await desk.join(slots=1, modalities="vision")
    await desk.enqueue("j1")
    await desk.take()
    await desk.rung("w")
    await desk.enqueue("j2", class_="vision")
    assert not await desk.rung("w")
    await desk.enqueue("s1", class_="side,vision")
    assert await desk.rung("w")


@pytest.mark.parametrize("needs", [Needs(side=True), Needs(frozenset({"vision"}), side=True)])
def test_class_says_so_with_its_first_word(needs: Needs) -> None:
    assert str(needs).split(",")[0] == SIDE
    assert read_needs(str(needs)) == needs


def test_any_worker_of_the_model_can_take_them() -> None:
    about: Any = (0, frozenset(), "")
    assert Needs(side=True).met_by(*about)
