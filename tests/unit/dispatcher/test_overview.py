"""What `llamaq status`, the dashboard and others show of the fleet."""

from dataclasses import replace

import pytest

from dispatcher.cost import Usage
from dispatcher.keys import Keys
from dispatcher.overview import read_overview
from dispatcher.progress import Progress, progress_text, read_progress
from dispatcher.worker import WorkerSession
from testing.desk import Desk
from testing.ends import FACTS

pytestmark = pytest.mark.parametrize("redis_url", ["real"], indirect=True)


async def join(desk: Desk, worker: str = "w") -> WorkerSession:
    session = WorkerSession(worker, desk.commands, 10)
    await session.register(1, True, FACTS)
    return session


async def test_it_tells_who_waits_and_where_each_job_is(desk: Desk) -> None:
    await join(desk)
    await desk.enqueue("j1", "j2")
    await desk.enqueue("j3", tenant="bob%20b", tier="flex")
    overview = await read_overview(desk.redis)
    (model,) = overview.models
    assert model.state.queued == 3
    assert [(one.tenant, one.tier, one.queued) for one in model.waiting] == [
        ("ann", "default", 2),
        ("bob b", "flex", 1),
    ]
    assert all(one.oldest_s is not None and 0 <= one.oldest_s < 60 for one in model.waiting)
    assert {(job.id, job.state, job.tenant) for job in model.jobs.jobs} == {
        ("j1", "queued", "ann"),
        ("j2", "queued", "ann"),
        ("j3", "queued", "bob b"),
    }


async def test_a_running_job_tells_its_worker(desk: Desk) -> None:
    session = await join(desk)
    await desk.enqueue("j1")
    epoch = session.identity.epoch
    await desk.claim(epoch=epoch)
    (model,) = (await read_overview(desk.redis)).models
    ((job,), waiting) = (model.jobs.jobs, model.waiting)
    assert (job.state, job.worker, waiting) == ("running", "w", [])
    assert job.claimed_ms >= job.enqueued_ms > 0


async def test_a_running_job_tells_how_far_it_is(desk: Desk) -> None:
    session = await join(desk)
    await desk.enqueue("j1", "j2")
    _, (token,) = await desk.claim(most=1, epoch=session.identity.epoch)
    progress = progress_text({token: Usage(12, 3), "j2:1": Usage(7, 1)})
    await session.renew(1, True, replace(FACTS, progress=progress), {token: 18})
    (model,) = (await read_overview(desk.redis)).models
    assert {job.id: job.progress for job in model.jobs.jobs} == {
        "j1": Progress(12, 3),
        "j2": Progress(),  # the worker does not have it
    }


@pytest.mark.parametrize(
    "text", [b"j1", b"j1=", b"j1=1", b"=1+1", b"j1=-1+2", b"j1=9e9+1", b"\xff"]
)
def test_progress_that_cannot_be_read_is_none(redis_url: str, text: bytes) -> None:
    assert read_progress(text) == {}


async def test_it_reads_so_many_jobs_at_most(desk: Desk) -> None:
    await join(desk)
    await desk.enqueue("j1", "j2", "j3")
    (model,) = (await read_overview(desk.redis, most_jobs=2)).models
    assert (len(model.jobs.jobs), model.jobs.left_out) == (2, 1)


async def test_what_cannot_be_read_hides_no_model(desk: Desk) -> None:
    await join(desk)
    keys = Keys("tiny")
    for name in ("deadlines", "classes", "suspects"):
        await desk.redis.delete(keys.named(name))
        await desk.redis.set(keys.named(name), "\x1b[2J", ex=60)
    (model,) = (await read_overview(desk.redis)).models
    assert (len(model.state.workers), model.waiting, model.jobs.jobs) == (1, [], ())
