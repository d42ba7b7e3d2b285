"""Which worker gets a job that has failed: another one first; and those that crash, one by one."""

import pytest

from dispatcher.patience import EAGER
from testing.desk import Desk
from testing.queued_jobs import jobs_of

# On the fake their scripts take ten times as long.
pytestmark = pytest.mark.parametrize("redis_url", ["real"], indirect=True)


@pytest.fixture
async def failed(desk: Desk) -> Desk:
    """Two workers with two slots; `j1` has failed at `w`."""
    await desk.join("w", 2)
    await desk.join("v", 2)
    await desk.enqueue("j1", attempts=9, crashes=9)
    await desk.release(await desk.take("w"), "w")
    await desk.rung("v")
    await desk.rung("w")
    return desk


async def test_another_worker_is_preferred_and_called(failed: Desk) -> None:
    _, free, again_ms, *jobs = await failed.claim_raw("w")
    assert (free, again_ms, jobs) == (2, b"2000", [])
    assert await failed.rung("v")
    assert jobs_of((await failed.claim("v"))[1]) == ["j1"]


async def test_another_worker_is_waited_for_two_seconds(failed: Desk) -> None:
    await failed.claim("w")
    failed.later(1000)
    assert (await failed.claim("w"))[1] == []
    failed.later(1000)
    assert jobs_of((await failed.claim("w"))[1]) == ["j1"]


async def test_only_worker_tries_again_at_once(failed: Desk) -> None:
    await failed.renew(worker="v", slots=2, accepting=0)
    assert jobs_of((await failed.claim("w"))[1]) == ["j1"]


async def test_worker_that_can_not_take_it_is_not_waited_for(desk: Desk) -> None:
    await desk.join("w", 2, modalities="vision")
    await desk.join("v", 2)
    await desk.enqueue("j1", class_="vision")
    await desk.release(await desk.take("w"), "w")
    assert jobs_of((await desk.claim("w"))[1]) == ["j1"]


async def test_job_given_back_without_blame_is_not_kept_from_its_worker(desk: Desk) -> None:
    await desk.join("w", 2)
    await desk.join("v", 2)
    await desk.enqueue("j1")
    await desk.release(await desk.take("w"), "w", costs=0)
    assert jobs_of((await desk.claim("w"))[1]) == ["j1"]


async def crash(desk: Desk, *jobs: str, worker: str = "x") -> None:
    """These jobs have crashed a worker that is gone now."""
    await desk.join(worker, len(jobs), epoch=f"e{worker}")
    await desk.enqueue(*jobs, attempts=9, crashes=9)
    _, attempt_ids = await desk.claim(worker, epoch=f"e{worker}")
    for attempt_id in attempt_ids:
        await desk.release(attempt_id, worker, epoch=f"e{worker}", crashed=1)
    await desk.renew(worker=worker, epoch=f"e{worker}", slots=len(jobs), accepting=0)


async def test_one_job_that_has_crashed_a_server_runs_on_any_worker(desk: Desk) -> None:
    await crash(desk, "j1", "j2", "j3")
    await desk.join("w", 4)
    await desk.join("v", 4)
    await desk.enqueue("fresh")
    assert jobs_of((await desk.claim("w"))[1]) == ["j1", "fresh"]
    assert await desk.rung("v")
    assert jobs_of((await desk.claim("v"))[1]) == ["j2"]
    assert (await desk.claim("w"))[1] == []


async def test_streams_that_went_down_with_a_server_go_on_together(desk: Desk) -> None:
    await desk.join("x", 3, fingerprint="f1")
    await desk.enqueue("j1", "j2", "j3", attempts=9, crashes=9)
    _, attempt_ids = await desk.claim("x")
    for attempt_id in attempt_ids:
        await desk.emit(attempt_id, worker="x")
        await desk.release(attempt_id, "x", crashed=1)
        await desk.resume(attempt_id)
    await desk.renew(worker="x", slots=3, accepting=0)
    await desk.join("w", 4, fingerprint="f1")
    assert jobs_of((await desk.claim("w"))[1]) == ["j1", "j2", "j3"]


@pytest.mark.parametrize("end", ["finish", "release", "renew", "cancel"])
async def test_the_next_of_them_runs_when_it_has_ended(desk: Desk, end: str) -> None:
    await crash(desk, "j1", "j2")
    await desk.join("w", 4)
    attempt_id = await desk.take("w")
    assert (await desk.claim("w"))[1] == []
    if end == "finish":
        *_, (following, *_) = await desk.finish_raw(attempt_id)
        assert following.startswith(b"j2:")
        return
    if end == "release":
        await desk.release(attempt_id, costs=0)
        assert jobs_of((await desk.claim("w"))[1]) == ["j1"]
    elif end == "renew":
        desk.later(6000)
        await desk.renew(slots=4)  # it holds nothing
        assert len((await desk.claim("w"))[1]) == 1
    else:
        await desk.cancel("j1")
        *_, (following, *_) = await desk.finish_raw(attempt_id, state="cancelled", patience=EAGER)
        assert following.startswith(b"j2:")


async def test_worker_that_joins_again_may_run_one(desk: Desk) -> None:
    await crash(desk, "j1", "j2")
    await desk.join("w", 4)
    await desk.take("w")
    await desk.join("w", 4, epoch="new")
    assert len((await desk.claim("w", epoch="new"))[1]) == 1
