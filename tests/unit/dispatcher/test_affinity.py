"""Conversations stay with the worker that has them in its cache, as far as that is fair."""

import pytest

from dispatcher.patience import Patience
from testing.desk import Desk
from testing.queued_jobs import jobs_of

# On the fake their scripts take ten times as long.
pytestmark = pytest.mark.parametrize("redis_url", ["real"], indirect=True)

TOKENS = 1000


@pytest.fixture
async def pair(desk: Desk) -> Desk:
    """Two workers with two slots; `v` has had the conversation `talk`."""
    await desk.join("v", 2, process="p1")
    await desk.enqueue("first", prefixes=("talk1",))
    await desk.finish(await desk.take("v"), "v")
    await desk.join("w", 2, process="p2")
    await desk.rung("v")
    await desk.rung("w")
    return desk


async def next_turn(desk: Desk, job: str = "next", **options: object) -> None:
    await desk.enqueue(job, prefixes=("talk2", "talk1", "talk0"), **options)  # type: ignore[arg-type]


async def test_next_turn_is_left_to_its_worker_which_is_called(pair: Desk) -> None:
    await next_turn(pair)
    assert await pair.rung("v")
    _, free, again_ms, *jobs = await pair.claim_raw("w")
    assert (free, jobs) == (2, [])
    assert 0 < int(again_ms) <= 200
    assert await pair.rung("v")
    assert jobs_of((await pair.claim("v"))[1]) == ["next"]


async def test_it_is_left_for_a_moment_only(pair: Desk) -> None:
    await next_turn(pair)
    assert (await pair.claim("w"))[1] == []
    pair.later(201)
    assert jobs_of((await pair.claim("w"))[1]) == ["next"]


@pytest.mark.parametrize(
    ("prompt_tps", "worth_ms"),
    [(0, 200), (1_000_000, 200), (3600, 2000), (360, 10_000), (10, 10_000)],
)
async def test_it_is_left_for_as_long_as_its_prompt_would_take(
    pair: Desk, prompt_tps: float, worth_ms: int
) -> None:
    """Four times, for 1800 tokens that are in the cache; within bounds."""
    await pair.join("w", 2, process="p2", prompt_tps=prompt_tps)
    await next_turn(pair)
    assert int((await pair.claim_raw("w"))[2]) == worth_ms
    if worth_ms >= 1000:
        pair.later(worth_ms - 1000)
        assert (await pair.claim("w"))[1] == []
    pair.later(min(1000, worth_ms))
    assert jobs_of((await pair.claim("w"))[1]) == ["next"]


async def test_slots_that_it_would_hold_up_count(pair: Desk) -> None:
    await pair.join("w", 3, process="p2", prompt_tps=3600)
    await pair.enqueue("j1")
    await pair.claim("w", 1)
    await next_turn(pair)
    assert int((await pair.claim_raw("w"))[2]) == 6000


@pytest.mark.parametrize(
    ("prompt_tps", "mean_ms", "is_left"),
    [(3600, 3999, True), (3600, 4000, False), (3_600_000, 4, False), (0, 1, False)],
)
async def test_full_worker_is_waited_for_if_a_slot_comes_sooner(
    pair: Desk, prompt_tps: int, mean_ms: int, is_left: bool
) -> None:
    await pair.join("w", 2, process="p2", prompt_tps=prompt_tps)
    await pair.enqueue("j1", "j2")
    await pair.claim("v")
    await pair.redis.hset(pair.keys.named("counters"), "mean_service_ms", mean_ms)
    await next_turn(pair)
    assert jobs_of((await pair.claim("w"))[1]) == ([] if is_left else ["next"])


@pytest.mark.parametrize(("waiting", "first"), [(32, []), (33, ["next0"])])
async def test_full_worker_is_not_waited_for_where_many_jobs_wait(
    pair: Desk, waiting: int, first: list[str]
) -> None:
    await pair.join("w", 2, process="p2", prompt_tps=3600)
    await pair.enqueue("j1", "j2")
    await pair.claim("v")
    await pair.redis.hset(pair.keys.named("counters"), "mean_service_ms", 1)
    for number in range(waiting):
        await next_turn(pair, f"next{number}")
    assert jobs_of((await pair.claim("w", 1))[1]) == first


async def test_older_jobs_that_wait_for_the_same_worker_count(pair: Desk) -> None:
    await pair.join("w", 2, process="p2", prompt_tps=3600)
    await pair.enqueue("j1", "j2")
    await pair.claim("v")
    await pair.redis.hset(pair.keys.named("counters"), "mean_service_ms", 1400)
    for number in range(3):
        await next_turn(pair, f"next{number}")
    assert jobs_of((await pair.claim("w"))[1]) == ["next2"]  # after 3 / 2 of 1400 ms: too late


async def test_full_worker_is_not_waited_for_for_ever(pair: Desk) -> None:
    await pair.join("w", 2, process="p2", prompt_tps=3600)
    await pair.enqueue("j1", "j2")
    await pair.claim("v")
    await pair.redis.hset(pair.keys.named("counters"), "mean_service_ms", 1400)
    await next_turn(pair)
    assert int((await pair.claim_raw("w"))[2]) == 2000  # when it is looked at again
    pair.later(8000)
    assert (await pair.claim("w"))[1] == []
    pair.later(2000)
    assert jobs_of((await pair.claim("w"))[1]) == ["next"]


async def test_worker_with_conversations_of_its_own_leaves_those_of_others(pair: Desk) -> None:
    """It takes its own rather, though others are not passed over by so much else."""
    await pair.join("w", 2, process="p2", prompt_tps=3600)
    await pair.enqueue("k1", tenant="ann", prefixes=("walk1",))
    await pair.finish(await pair.take("w"), "w")
    await pair.enqueue("c0", tenant="cy", estimate=501 * TOKENS)
    await pair.take("w")
    await pair.enqueue("j1", "j2", tenant="bob")
    await pair.claim("v")
    await pair.redis.hset(pair.keys.named("counters"), "mean_service_ms", 60_000)
    await next_turn(pair, tenant="bob")
    await pair.enqueue("k2", tenant="cy", prefixes=("walk1",))
    assert jobs_of((await pair.claim("w"))[1]) == ["k2"]


async def test_of_its_conversations_the_least_served_tenants_is_first(pair: Desk) -> None:
    await pair.enqueue("b0", tenant="bob", estimate=10 * TOKENS)
    await pair.claim("w")
    await next_turn(pair, "bobs", tenant="bob")
    await next_turn(pair, "anns", tenant="ann")
    assert jobs_of((await pair.claim("v", 1))[1]) == ["anns"]


async def test_worker_that_does_not_accept_is_not_waited_for(pair: Desk) -> None:
    await pair.renew(worker="v", slots=2, accepting=0)
    await next_turn(pair)
    assert jobs_of((await pair.claim("w"))[1]) == ["next"]


async def test_restarted_server_has_forgotten(pair: Desk) -> None:
    await pair.join("v", 2, epoch="new", process="p9")
    await next_turn(pair)
    assert jobs_of((await pair.claim("w"))[1]) == ["next"]


async def test_shared_beginning_of_others_is_no_affinity(pair: Desk) -> None:
    """Only what a finished job was remembered under counts, not each beginning of it."""
    await pair.enqueue("stranger", prefixes=("talk9", "talk0"))
    assert jobs_of((await pair.claim("w"))[1]) == ["stranger"]


async def test_worker_takes_its_own_conversations_first(pair: Desk) -> None:
    await pair.enqueue("j1", "j2", tenant="ann")
    await next_turn(pair, tenant="ann")
    assert jobs_of((await pair.claim("v", 1))[1]) == ["next"]


async def test_but_not_before_a_tenant_that_is_far_behind(pair: Desk) -> None:
    await pair.enqueue("b0", tenant="bob", estimate=501 * TOKENS)
    await pair.claim("w")
    await next_turn(pair, tenant="bob")
    await pair.enqueue("a1", tenant="ann")
    assert jobs_of((await pair.claim("v", 1))[1]) == ["a1"]


async def test_a_tenant_a_little_behind_is_passed_over(pair: Desk) -> None:
    await pair.enqueue("b0", tenant="bob", estimate=499 * TOKENS)
    await pair.claim("w")
    await next_turn(pair, tenant="bob")
    await pair.enqueue("a1", tenant="ann")
    assert jobs_of((await pair.claim("v", 1))[1]) == ["next"]


async def test_urgent_tier_is_never_passed_over(pair: Desk) -> None:
    await next_turn(pair, tenant="bob")
    await pair.enqueue("a1", tenant="ann", tier="priority")
    assert jobs_of((await pair.claim("v", 1))[1]) == ["a1"]


@pytest.mark.parametrize(("older", "first"), [(8, "next"), (9, "j0")])
async def test_older_jobs_of_the_same_user_are_passed_over_by_few(
    pair: Desk, older: int, first: str
) -> None:
    """By twice as many as the fleet has slots."""
    await pair.enqueue(*(f"j{number}" for number in range(older)))
    await next_turn(pair)
    assert jobs_of((await pair.claim("v", 1))[1]) == [first]


async def test_returned_job_prefers_nobody(pair: Desk) -> None:
    await next_turn(pair)
    await pair.release(await pair.take("v"), "v", costs=0)
    assert jobs_of((await pair.claim("w"))[1]) == ["next"]


async def test_others_jobs_behind_those_left_are_found(pair: Desk) -> None:
    await next_turn(pair)
    await pair.enqueue("j1")
    assert jobs_of((await pair.claim("w"))[1]) == ["j1"]


async def test_others_jobs_behind_those_of_many_tenants_are_found(pair: Desk) -> None:
    for number in range(9):
        await next_turn(pair, f"next{number}", tenant=f"t{number}")
    await pair.enqueue("last", tenant="z", weight=0.5)
    await pair.enqueue("z0", tenant="z", estimate=10 * TOKENS)
    assert jobs_of((await pair.claim("w"))[1]) == ["last", "z0"]


# Jobs left to faster workers.

SLOW = Patience(prompt_ms=0, token_ms=10, turn_ms=100, backlog_factor=1, faster=("v",))


async def test_slow_worker_leaves_a_job_to_a_faster_one_and_calls_it(pair: Desk) -> None:
    await pair.enqueue("j1", tokens=(1, 100))
    _, free, again_ms, *jobs = await pair.claim_raw("w", patience=SLOW)
    assert (free, jobs) == (2, [])
    assert 900 < int(again_ms) <= 1000
    assert await pair.rung("v")
    assert not await pair.rung("w")


async def test_it_takes_what_it_does_as_soon(pair: Desk) -> None:
    await pair.enqueue("large", tokens=(1, 100))
    await pair.enqueue("small", tokens=(1, 5))
    assert jobs_of((await pair.claim("w", patience=SLOW))[1]) == ["small"]


async def test_it_takes_what_would_wait_for_longer(pair: Desk) -> None:
    await pair.enqueue(*(f"j{number}" for number in range(12)), tokens=(1, 100))
    _, attempt_ids = await pair.claim("w", patience=SLOW)
    assert jobs_of(attempt_ids) == ["j7", "j8"]  # the older ones will be begun by others before


async def test_of_a_users_jobs_it_takes_the_one_that_loses_least(pair: Desk) -> None:
    for number, tokens in enumerate((90, 20, 70, 20, 80, 90, 90, 90, 1)):
        await pair.enqueue(f"j{number}", tokens=(1, tokens))
    assert jobs_of((await pair.claim("w", 1, patience=SLOW))[1]) == ["j3"]


async def test_job_is_left_no_longer_than_it_gains(pair: Desk) -> None:
    await pair.enqueue("j1", tokens=(1, 100))
    pair.later(3000)
    assert await pair.claim("w", patience=SLOW) == (2, [])
    pair.later(500)
    assert await pair.claim("w", patience=SLOW) == (2, [])
    pair.later(500)
    assert jobs_of((await pair.claim("w", patience=SLOW))[1]) == ["j1"]


async def test_nobody_is_called_when_the_faster_ones_are_full(pair: Desk) -> None:
    await pair.enqueue("j1", "j2", tokens=(1, 100))
    await pair.claim("v")
    await pair.rung("v")
    await pair.enqueue("j3", tokens=(1, 100))
    await pair.claim("w", patience=SLOW)
    assert not await pair.rung("v")


async def test_what_no_faster_worker_can_take_is_not_left(pair: Desk) -> None:
    await pair.renew(worker="v", slots=2)
    await pair.join("w", 2, epoch="large", context=8192)
    await pair.enqueue("long", tokens=(1, 100), class_="context>2048")
    attempt_ids = (await pair.claim("w", epoch="large", patience=SLOW))[1]
    assert jobs_of(attempt_ids) == ["long"]


async def test_dead_workers_are_not_waited_for(pair: Desk) -> None:
    await pair.redis.delete(pair.keys.named("worker", "v"))
    await pair.enqueue("j1", tokens=(1, 100))
    assert jobs_of((await pair.claim("w", patience=SLOW))[1]) == ["j1"]


async def test_own_conversation_is_not_left_for_speed(pair: Desk) -> None:
    await next_turn(pair, tokens=(1, 100))
    slow = Patience(prompt_ms=0, token_ms=10, turn_ms=100, backlog_factor=1, faster=("w",))
    assert jobs_of((await pair.claim("v", patience=slow))[1]) == ["next"]
