"""lua/claim.lua: jobs for free slots, in the order of the queue, each once."""

import asyncio

import pytest

from dispatcher.patience import EAGER, Patience
from testing.desk import Desk
from testing.queued_jobs import DEADLINE_MS, WAIT_MS, jobs_of

# On the fake their scripts take ten times as long.
pytestmark = pytest.mark.parametrize("redis_url", ["real"], indirect=True)


async def test_claims_the_oldest_job_first(desk: Desk) -> None:
    await desk.join(slots=3)
    await desk.enqueue("z", "m", "a")
    assert jobs_of((await desk.claim())[1]) == ["z", "m", "a"]


async def test_order_holds_over_a_thousand_jobs(desk: Desk) -> None:
    await desk.redis.hset(desk.keys.named("counters"), "sequence", 998)
    await desk.join(slots=3)
    await desk.enqueue("j1", "j2", "j3")
    assert jobs_of((await desk.claim())[1]) == ["j1", "j2", "j3"]


async def test_claimed_job_says_what_the_bridge_must_know(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1", path="/v1/embeddings", form="body")
    desk.later(5000)
    _, free, again_ms, job = await desk.claim_raw(nonce="n")
    attempt_id, api, wants, left_ms, queue_ms, class_, path, form, body = job
    assert (path, form, body) == (b"/v1/embeddings", b"body", b"body")
    assert (free, again_ms, attempt_id, api) == (0, b"0", b"j1:n-1-1", b"a")
    assert (wants, class_) == (b"stream", b"any")
    assert 0 <= DEADLINE_MS - 5000 - int(left_ms) < 1000
    assert 5000 <= int(queue_ms) < 6000


async def test_claimed_job_is_recorded(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1")
    attempt_id = await desk.take()
    job = await desk.job("j1")
    assert (job["state"], job["worker"], job["attempts"]) == ("running", "w", "1")
    assert f"j1:{job['attempt']}" == attempt_id
    assert await desk.running() == [attempt_id]


@pytest.mark.parametrize(("slots", "most", "taken"), [(2, 99, 2), (4, 3, 3), (9, 99, 5), (2, 0, 0)])
async def test_takes_no_more_than_asked_free_and_there(
    desk: Desk, slots: int, most: int, taken: int
) -> None:
    await desk.join(slots=slots)
    await desk.enqueue("j1", "j2", "j3", "j4", "j5")
    free, attempt_ids = await desk.claim(most=most)
    assert (free, len(attempt_ids)) == (slots - taken, taken)


async def test_part_of_a_flow_is_counted_the_same_together_as_in_turn(desk: Desk) -> None:
    """A worker that would leave jobs to faster ones, if there were any, takes one by one."""
    found = []
    for model, patience in ("together", EAGER), ("in-turn", Patience(token_ms=1)):
        of_model = Desk(desk.redis, model)
        await of_model.heartbeat("a")
        await of_model.join(slots=3)
        await of_model.enqueue("j1", "j2", "j3", "j4", "j5", estimate=70, weight=3)
        await of_model.claim(patience=patience)
        names = "classes", "waiting", "waiting_bytes"
        paths = "any", "any|default", "any|default|ann"
        keys = [of_model.keys.named(name) for name in names]
        keys += [of_model.keys.named("turns", path) for path in paths]
        counted = [await of_model.redis.zrange(key, 0, -1, withscores=True) for key in keys]
        charged = await of_model.redis.hgetall(of_model.keys.named("charged"))
        numbers = [await of_model.counter(name) for name in ("running", "queued_bytes")]
        found.append((counted, charged, numbers, len(await of_model.queue())))
    assert found[0] == found[1]
    assert found[0][3] == 2


async def test_slots_that_run_are_not_free(desk: Desk) -> None:
    await desk.join(slots=3)
    await desk.enqueue("j1", "j2", "j3", "j4")
    await desk.claim(most=2)
    assert len((await desk.claim())[1]) == 1
    assert await desk.claim() == (0, [])


async def test_fewer_slots_than_run_is_none_free(desk: Desk) -> None:
    await desk.join(slots=3)
    await desk.enqueue("j1", "j2", "j3", "j4")
    _, attempt_ids = await desk.claim()
    await desk.renew(*attempt_ids, slots=1)
    assert await desk.claim() == (0, [])


async def test_worker_that_does_not_accept_gets_nothing(desk: Desk) -> None:
    await desk.join(slots=3, accepting=0)
    await desk.enqueue("j1")
    assert await desk.claim() == (0, [])


async def test_concurrent_claims_never_take_more_than_the_slots(desk: Desk) -> None:
    await desk.join(slots=3)
    await desk.enqueue(*(f"j{number}" for number in range(9)))
    await asyncio.gather(*(desk.claim(most=2) for _ in range(6)))
    assert len(await desk.running()) == 3


async def test_repeated_claim_finds_the_same_jobs(desk: Desk) -> None:
    await desk.join(slots=2)
    await desk.enqueue("j1", "j2", "j3")
    first = await desk.claim(nonce="abc")
    assert await desk.claim(nonce="abc") == first
    assert (await desk.job("j1"))["attempts"] == "1"
    assert await desk.queue() == ["j3"]


async def test_repeated_claim_keeps_to_its_jobs_when_slots_were_freed(desk: Desk) -> None:
    await desk.join(slots=3)
    await desk.enqueue("j1", "j2")
    _, first = await desk.claim(nonce="abc")
    await desk.enqueue("j3")
    assert await desk.claim(nonce="abc") == (1, first)


async def test_nonce_that_begins_like_another_is_another(desk: Desk) -> None:
    await desk.join(slots=3)
    await desk.enqueue("j1", "j2")
    await desk.claim(most=1, nonce="abc")
    assert (await desk.claim(most=1, nonce="ab"))[1] == ["j2:ab-1-1"]


async def test_job_that_waited_too_long_is_expired_not_run(desk: Desk) -> None:
    await desk.join(slots=2)
    await desk.enqueue("late")
    desk.later(WAIT_MS)
    await desk.heartbeat("a")
    await desk.enqueue("new")
    assert jobs_of((await desk.claim())[1]) == ["new"]
    assert await desk.state("late") == "expired"
    assert await desk.heard() == [("late:-1", "expired")]


async def test_cancelled_job_is_never_handed_out(desk: Desk) -> None:
    await desk.join(slots=2)
    await desk.enqueue("j1", "j2")
    await desk.cancel("j1")
    assert jobs_of((await desk.claim())[1]) == ["j2"]


async def test_job_of_a_dead_api_is_dropped(desk: Desk) -> None:
    await desk.join(slots=2)
    await desk.heartbeat("b")
    await desk.enqueue("orphan", api="b")
    await desk.enqueue("j1")
    await desk.redis.zrem(desk.keys.named("apis"), "b")
    assert jobs_of((await desk.claim())[1]) == ["j1"]
    assert await desk.state("orphan") == "abandoned"
    assert await desk.counter("queued_bytes") == 0


async def test_dropped_jobs_do_not_use_up_slots(desk: Desk) -> None:
    await desk.join(slots=1)
    await desk.heartbeat("b")
    await desk.enqueue(*(f"o{number}" for number in range(50)), api="b")
    await desk.enqueue("j1")
    await desk.redis.zrem(desk.keys.named("apis"), "b")
    assert jobs_of((await desk.claim())[1]) == ["j1"]


async def test_claim_heals_entries_whose_job_is_gone(desk: Desk) -> None:
    await desk.join(slots=1)
    await desk.enqueue("ghost", "j1")
    await desk.redis.delete(desk.keys.named("job", "ghost"))
    assert jobs_of((await desk.claim())[1]) == ["j1"]
    assert await desk.queue() == []


async def test_large_body_is_read_apart(desk: Desk) -> None:
    await desk.join(slots=2)
    await desk.enqueue("small", body=b"x" * 32768)
    await desk.enqueue("large", body=b"x" * 32769)
    *_, small, large = await desk.claim_raw()
    assert (len(small[-1]), large[-1]) == (32768, b"")


async def test_claim_answers_the_ring_of_its_bell(desk: Desk) -> None:
    await desk.join()
    await desk.claim()
    assert not await desk.rung("w")
