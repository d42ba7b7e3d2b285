"""lua/finish.lua: an attempt ends with its answer, once, and frees its slot."""

import pytest

from dispatcher.commands import Identity, Offer, Wish
from dispatcher.patience import EAGER, Patience
from testing.desk import Desk
from testing.queued_jobs import ended_attempt

MEANS = "mean_prompt_tokens", "mean_completion_tokens"


@pytest.mark.parametrize("state", ["done", "rejected", "failed", "cancelled"])
async def test_last_frames_state_and_usage_are_recorded(desk: Desk, state: str) -> None:
    await desk.join()
    await desk.enqueue("j1")
    attempt_id = await desk.take()
    assert await desk.finish(attempt_id, state=state) == "OK"
    job = await desk.job("j1")
    assert (job["state"], job["prompt_tokens"], job["completion_tokens"]) == (state, "700", "1100")
    assert await desk.heard() == [(attempt_id, state)]
    assert await desk.counter(state) == 1


async def test_slot_is_free_again(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1", "j2")
    await desk.finish(await desk.take())
    assert (await desk.claim())[0] == 0
    assert len(await desk.running()) == 1


async def test_repeated_finish_tells_the_api_once(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1")
    attempt_id = await desk.take()
    await desk.finish(attempt_id)
    before = await desk.everything()
    assert await desk.finish(attempt_id) == "OK"
    assert await desk.everything() == before


async def test_body_is_gone_and_the_rest_stays_for_a_minute(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1")
    await desk.finish(await desk.take())
    assert not await desk.redis.exists(desk.keys.named("body", "j1"))
    assert 50_000 < await desk.redis.pttl(desk.keys.named("job", "j1")) <= 60_000
    assert await desk.redis.zscore(desk.keys.named("deadlines"), "j1") is None


async def test_finish_for_a_dead_api_leaves_no_key_of_it(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1")
    attempt_id = await desk.take()
    await desk.redis.delete(desk.keys.named("replies", "a"), desk.keys.named("api", "a"))
    assert await desk.finish(attempt_id) == "OK"
    assert not await desk.redis.exists(desk.keys.named("replies", "a"), desk.keys.named("api", "a"))


async def test_finish_of_a_job_that_redis_has_lost_frees_the_slot(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1")
    attempt_id = await desk.take()
    await desk.redis.delete(desk.keys.named("job", "j1"))
    assert await desk.finish(attempt_id) == "OK"
    assert await desk.running() == []


async def test_attempt_of_another_worker_can_not_be_finished(desk: Desk) -> None:
    await desk.join("w")
    await desk.join("v")
    await desk.enqueue("j1")
    attempt_id = await desk.take("v")
    before = await desk.everything()
    assert await desk.finish(attempt_id, "w") == "FENCED"
    assert await desk.everything() == before


# The next job of the same slot.

SLOW = Patience(prompt_ms=0, token_ms=10, turn_ms=100, backlog_factor=1, faster=("v",))


async def test_freed_slot_gets_the_next_job_without_a_ring(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1", "j2", "j3")
    attempt_id = await desk.take()
    await desk.rung("w")
    _, free, again_ms, job = await desk.finish_raw(attempt_id, nonce="n")
    assert (free, again_ms, job[0]) == (0, b"0", b"j2:n-1-1")
    assert await desk.queue() == ["j3"]
    assert not await desk.rung("w")


async def test_repeated_finish_finds_the_same_jobs(desk: Desk) -> None:
    await desk.join(slots=2)
    await desk.enqueue("j1")
    attempt_id = await desk.take()
    await desk.enqueue("j2", "j3", "j4")
    first = await desk.finish_raw(attempt_id, nonce="n")
    second = await desk.finish_raw(attempt_id, nonce="n")
    assert [job[0] for job in first[3:]] == [b"j2:n-1-1", b"j3:n-2-1"]
    assert [job[0] for job in second[3:]] == [b"j2:n-1-1", b"j3:n-2-1"]
    assert await desk.heard() == [(attempt_id, "done")]
    assert await desk.queue() == ["j4"]


async def test_full_worker_that_finds_nothing_is_called_to_listen_to_all_bells(desk: Desk) -> None:
    await desk.join(slots=2)
    await desk.enqueue("j1", "j2")
    _, (first, second) = await desk.claim()
    assert (await desk.finish_raw(first))[1:] == [1, b"0"]
    assert await desk.rung("w")
    await desk.finish_raw(second)
    assert not await desk.rung("w")  # it was not full


async def test_worker_that_wants_nothing_gets_nothing(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1", "j2")
    assert (await desk.finish_raw(await desk.take(), most=0))[1:] == [1, b"0"]
    assert await desk.queue() == ["j2"]
    assert await desk.rung("w")


async def test_job_left_to_others_calls_them_and_itself_to_come_again(desk: Desk) -> None:
    await desk.join("w", 2)
    await desk.join("v", 1)
    await desk.enqueue("j1")
    attempt_id = await desk.take("w")
    await desk.enqueue("j2", tokens=(1, 100))
    await desk.rung("v")
    await desk.rung("w")
    _, free, again_ms, *jobs = await desk.finish_raw(attempt_id, patience=SLOW)
    assert (free, jobs) == (2, [])
    assert 900 < int(again_ms) <= 1000
    assert await desk.rung("v")
    assert await desk.rung("w")


async def test_bound_of_running_jobs_holds(desk: Desk) -> None:
    await desk.join(slots=2)
    await desk.enqueue("j1", "j2", "j3")
    attempt_id = (await desk.claim(max_running=1))[1][0]
    _, free, _, *jobs = await desk.finish_raw(attempt_id, max_running=1)
    assert (free, len(jobs)) == (1, 1)


async def test_embeddings_say_nothing_of_how_long_texts_are(desk: Desk) -> None:
    await desk.join(slots=2)
    await desk.enqueue("text", "vectors")
    text, vectors = (await desk.claim())[1]
    assert await desk.finish(text) == "OK"
    before = [await desk.redis.hget(desk.keys.named("counters"), name) for name in MEANS]
    ended = ended_attempt(vectors)._replace(prompt_tokens=90_000, completion_tokens=0)
    wish = Wish(Offer(), "nonce", 0, EAGER)
    assert (await desk.commands.finish(Identity("w", "e"), wish, [ended]))[0] == b"OK"
    after = [await desk.redis.hget(desk.keys.named("counters"), name) for name in MEANS]
    assert after == before == [b"700.000", b"1100.000"]
