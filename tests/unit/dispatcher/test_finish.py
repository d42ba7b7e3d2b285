"""lua/finish.lua: an attempt ends with its answer, once, and frees its slot."""

import pytest

from tests.unit.dispatcher.desk import Desk


@pytest.mark.parametrize("state", ["done", "rejected", "failed", "cancelled"])
async def test_last_frames_state_and_usage_are_recorded(desk: Desk, state: str) -> None:
    await desk.join()
    await desk.enqueue("j1")
    token = await desk.take()
    assert await desk.finish(token, state=state) == "OK"
    job = await desk.job("j1")
    assert (job["state"], job["prompt_tokens"], job["completion_tokens"]) == (state, "7", "11")
    assert await desk.heard() == [(token, state)]
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
    token = await desk.take()
    await desk.finish(token)
    before = await desk.everything()
    assert await desk.finish(token) == "OK"
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
    token = await desk.take()
    await desk.redis.delete(desk.keys.named("replies", "a"), desk.keys.named("api", "a"))
    assert await desk.finish(token) == "OK"
    assert not await desk.redis.exists(desk.keys.named("replies", "a"), desk.keys.named("api", "a"))


async def test_finish_of_a_job_that_redis_has_lost_frees_the_slot(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1")
    token = await desk.take()
    await desk.redis.delete(desk.keys.named("job", "j1"))
    assert await desk.finish(token) == "OK"
    assert await desk.running() == []


async def test_attempt_of_another_worker_can_not_be_finished(desk: Desk) -> None:
    await desk.join("w")
    await desk.join("v")
    await desk.enqueue("j1")
    token = await desk.take("v")
    before = await desk.everything()
    assert await desk.finish(token, "w") == "FENCED"
    assert await desk.everything() == before
