"""lua/cancel.lua: nobody waits for a job any more, whatever its state."""

from testing.desk import Desk


async def test_job_that_is_not_there_yet_never_runs(desk: Desk) -> None:
    assert await desk.cancel("j1") == "unknown"
    assert await desk.enqueue("j1") == [b"KNOWN", b"cancelled"]
    assert await desk.queue() == []
    assert 0 < await desk.redis.pttl(desk.keys.named("job", "j1")) <= 60_000


async def test_many_are_cancelled_at_once_each_by_itself(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1", "j2", "j3")
    attempt_id = await desk.take()
    assert await desk.cancel("j3", "j9", "j1") == "queued,unknown,running"
    assert (await desk.queue(), await desk.cancels()) == (["j2"], [attempt_id])


async def test_queued_job_is_gone_at_once(desk: Desk) -> None:
    await desk.enqueue("j1", "j2")
    assert await desk.cancel("j1") == "queued"
    assert (await desk.queue(), await desk.state("j1")) == (["j2"], "cancelled")
    assert await desk.counter("queued_bytes") == 4
    assert not await desk.redis.exists(desk.keys.named("body", "j1"))


async def test_running_job_is_told_to_its_worker(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1")
    attempt_id = await desk.take()
    assert await desk.cancel("j1") == "running"
    assert await desk.cancels() == [attempt_id]
    assert await desk.running() == [attempt_id]  # its slot is taken until the worker has freed it


async def test_worker_ends_a_cancelled_job(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1")
    attempt_id = await desk.take()
    await desk.cancel("j1")
    assert await desk.finish(attempt_id, state="cancelled") == "OK"
    assert (await desk.state("j1"), await desk.running()) == ("cancelled", [])


async def test_repeated_cancel_of_a_queued_job(desk: Desk) -> None:
    await desk.enqueue("j1")
    await desk.cancel("j1")
    before = await desk.everything()
    assert await desk.cancel("j1") == "cancelled"
    assert await desk.everything() == before


async def test_repeated_cancel_of_a_running_job(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1")
    await desk.take()
    await desk.cancel("j1")
    before = await desk.everything()
    assert await desk.cancel("j1") == "running"
    assert await desk.everything() == before


async def test_ended_job_stays_as_it_ended(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1")
    await desk.finish(await desk.take())
    before = await desk.everything()
    assert await desk.cancel("j1") == "done"
    assert await desk.everything() == before


async def test_cancelled_job_is_not_recovered_from_a_dead_worker(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1")
    await desk.take()
    await desk.cancel("j1")
    await desk.join(epoch="new")
    assert (await desk.queue(), await desk.state("j1")) == ([], "cancelled")
