"""Who waits for a model, as a bridge sees it that could load it."""

from redis.asyncio import Redis

from dispatcher.demand import Demand, begin_loading, end_loading, read_demand
from dispatcher.keys import Keys
from testing.desk import Desk


async def demand(desk: Desk, worker: str = "me") -> Demand:
    return await read_demand(desk.commands, worker)


async def test_nobody_waits(desk: Desk) -> None:
    assert await demand(desk) == Demand()


async def test_oldest_is_that_of_all_tenants_and_classes(desk: Desk) -> None:
    await desk.enqueue("old", tenant="zoe")
    desk.later(2000)
    await desk.enqueue("new", tenant="ann", class_="vision")
    desk.later(1000)
    found = await demand(desk)
    assert (found.jobs, found.waited_s >= 3) == (2, True)


async def test_jobs_that_the_worker_is_known_to_be_unable_to_take_are_not_counted(
    desk: Desk,
) -> None:
    await desk.enqueue("one", class_="build=other")
    assert (await demand(desk)).jobs == 1  # it was never loaded: who knows
    await desk.join("me", 0, accepting=0, fingerprint="mine")
    assert (await demand(desk)).jobs == 0


async def test_slots_are_those_of_live_workers_that_take_jobs(desk: Desk) -> None:
    await desk.join("me")
    await desk.join("full", 2)
    await desk.join("standby", 0, accepting=0)
    await desk.join("draining", 4, accepting=0)
    assert (await demand(desk)).slots == 2
    desk.later(3_600_000)
    assert (await demand(desk)).slots == 0


async def test_script_writes_nothing(desk: Desk) -> None:
    await desk.enqueue("one")
    before = await desk.everything()
    await demand(desk)
    assert await desk.everything() == before


async def test_only_one_may_load_a_model(desk: Desk, redis: Redis) -> None:
    assert await begin_loading(desk.commands, "one")
    assert not await begin_loading(desk.commands, "two")
    assert await begin_loading(desk.commands, "one")  # it goes on
    assert (await demand(desk)).loader == "one"
    assert 0 < await redis.pttl(Keys("tiny").named("loading")) <= 5000
    await end_loading(desk.commands, "two")
    assert not await begin_loading(desk.commands, "two")
    await end_loading(desk.commands, "one")
    assert await begin_loading(desk.commands, "two")
