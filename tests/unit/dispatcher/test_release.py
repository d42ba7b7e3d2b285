"""lua/release.lua: a job goes back to its old place, or ends if nobody else may try."""

import pytest

from testing.desk import Desk
from testing.queued_jobs import DEADLINE_MS, WAIT_MS

# On the fake their scripts take ten times as long.
pytestmark = pytest.mark.parametrize("redis_url", ["real"], indirect=True)


async def test_released_job_is_claimed_before_later_ones(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1", "j2", "j3")
    attempt_id = await desk.take()
    assert await desk.release(attempt_id) == ["OK", "revoked"]
    assert await desk.queue() == ["j1", "j2", "j3"]
    assert (await desk.take()).startswith("j1:")


async def test_client_is_told_that_the_attempt_is_revoked(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1")
    attempt_id = await desk.take()
    await desk.release(attempt_id)
    assert await desk.heard() == [(attempt_id, "revoked")]
    job = await desk.job("j1")
    assert (job["state"], "worker" in job, "attempt" in job) == ("queued", False, False)


async def test_body_is_there_for_the_next_attempt_and_counts(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1", body=b"12345")
    await desk.release(await desk.take())
    assert await desk.redis.get(desk.keys.named("body", "j1")) == b"12345"
    assert await desk.counter("queued_bytes") == 5


async def test_repeated_release_gives_back_once(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1")
    attempt_id = await desk.take()
    await desk.release(attempt_id)
    before = await desk.everything()
    assert await desk.release(attempt_id) == ["OK", "gone"]
    assert await desk.everything() == before


async def test_repeated_release_does_not_touch_the_next_attempt(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1")
    first = await desk.take()
    await desk.release(first)
    second = await desk.take()
    assert await desk.release(first, crashed=1) == ["OK", "gone"]
    assert await desk.running() == [second]
    assert (await desk.job("j1"))["crashes"] == "0"


async def test_attempts_end(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1", attempts=2)
    assert await desk.release(await desk.take()) == ["OK", "revoked"]
    attempt_id = await desk.take()
    assert await desk.release(attempt_id) == ["OK", "failed"]
    assert (await desk.told())[-1].payload == b'{"e":1}'
    assert (await desk.state("j1"), await desk.queue()) == ("failed", [])


async def test_release_that_costs_nothing_can_be_repeated_for_ever(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1", attempts=1)
    verdicts = [await desk.release(await desk.take(), costs=0) for _ in range(5)]
    assert verdicts == [["OK", "revoked"]] * 5
    assert (await desk.job("j1"))["attempts"] == "0"


async def test_crashes_end(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1", attempts=9, crashes=2)
    assert await desk.release(await desk.take(), crashed=1) == ["OK", "revoked"]
    assert await desk.release(await desk.take(), crashed=1) == ["OK", "failed"]


async def test_setbacks_end_though_they_cost_no_attempt(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1", attempts=2)
    verdicts = [await desk.release(await desk.take(), costs=0, setback=1) for _ in range(4)]
    assert verdicts == [["OK", "revoked"]] * 3 + [["OK", "failed"]]
    assert (await desk.told())[-1].payload == b'{"e":1}'
    assert (await desk.job("j1"))["attempts"] == "0"


async def test_job_that_a_client_has_seen_is_lost(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1")
    attempt_id = await desk.take()
    await desk.emit(attempt_id, visible=1)
    assert await desk.release(attempt_id, costs=0) == ["OK", "lost"]
    assert (await desk.told())[-1].payload == b'{"e":1}'
    assert (await desk.state("j1"), await desk.queue()) == ("lost", [])


async def test_cancelled_job_is_not_queued_again(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1")
    attempt_id = await desk.take()
    await desk.cancel("j1")
    assert await desk.release(attempt_id) == ["OK", "cancelled"]


async def test_job_past_its_deadline_is_not_queued_again(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1")
    attempt_id = await desk.take()
    desk.later(DEADLINE_MS)
    assert await desk.release(attempt_id) == ["OK", "expired"]
    assert await desk.heard() == [(attempt_id, "expired")]


async def test_job_of_a_dead_api_is_not_queued_again(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1")
    attempt_id = await desk.take()
    await desk.redis.zrem(desk.keys.named("apis"), "a")
    assert await desk.release(attempt_id) == ["OK", "abandoned"]


async def test_wait_limit_counts_only_until_the_first_claim(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1")
    attempt_id = await desk.take()
    desk.later(WAIT_MS + 1)
    await desk.heartbeat("a")
    await desk.release(attempt_id)
    assert (await desk.take()).startswith("j1:")


@pytest.mark.parametrize("kind", ["failed", "expired", "cancelled"])
async def test_ended_job_leaves_no_body(desk: Desk, kind: str) -> None:
    await desk.join()
    await desk.enqueue("j1", attempts=1)
    attempt_id = await desk.take()
    if kind == "expired":
        desk.later(DEADLINE_MS)
    elif kind == "cancelled":
        await desk.cancel("j1")
    assert await desk.release(attempt_id) == ["OK", kind]
    assert not await desk.redis.exists(desk.keys.named("body", "j1"))
    assert await desk.redis.zcard(desk.keys.named("deadlines")) == 0


async def test_refusal_that_comes_again_is_told_and_changes_nothing(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1")
    assert await desk.release(await desk.take(), refusal="no") == ["OK", "revoked"]
    attempt_id = await desk.take()
    before = await desk.everything()
    assert await desk.release(attempt_id, refusal="no") == ["OK", "twice"]
    assert await desk.everything() == before
    assert await desk.finish(attempt_id, state="rejected") == "OK"


async def test_refusal_that_one_worker_repeats_is_no_answer_while_another_may_try(
    desk: Desk,
) -> None:
    await desk.join("w")
    await desk.join("v")
    await desk.enqueue("j1", attempts=9)
    for _ in range(2):
        assert await desk.release(await desk.take("w"), refusal="no") == ["OK", "revoked"]
        assert (await desk.claim("w"))[1] == []  # for two seconds it is left to the other one
        desk.later(2000)
    assert await desk.release(await desk.take("v"), "v", refusal="no") == ["OK", "twice"]


@pytest.mark.parametrize("other", [{"accepting": 0}, {"fingerprint": "f2"}])
async def test_refusal_that_the_only_worker_repeats_is_the_answer(
    desk: Desk, other: dict[str, int | str]
) -> None:
    await desk.join("w", fingerprint="f1")
    await desk.join("v", **other)  # type: ignore[arg-type]
    await desk.enqueue("j1", class_="build=f1")
    assert await desk.release(await desk.take("w"), refusal="no") == ["OK", "revoked"]
    assert await desk.release(await desk.take("w"), refusal="no") == ["OK", "twice"]


async def test_another_refusal_is_none_that_comes_again(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1", attempts=9)
    for refusal in ("no", "never", "", "no", ""):
        assert await desk.release(await desk.take(), refusal=refusal) == ["OK", "revoked"]
