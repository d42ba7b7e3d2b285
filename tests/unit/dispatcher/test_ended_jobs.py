"""However a job ends, what Redis holds of it is deleted or expires soon."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from testing.desk import LEASE_MS, Desk
from testing.queued_jobs import DEADLINE_MS

End = Callable[[Desk, str], Awaitable[Any]]

AN_HOUR_MS = 3_600_000
FAR_MS = 9_999_999_999_999
OF_THE_LIVING = {"counters", "workers", "speeds", "apis"}
"""The keys without a time to live that a model has whose worker and API live."""


async def enqueue(desk: Desk, job: str, **more: Any) -> None:
    """One that uses all that a job may have keys for."""
    key = f"line of {job}"
    await desk.enqueue(
        job, **{"user": "u1", "supersedes": key, "prefixes": (f"{job}-2", f"{job}-1"), **more}
    )


async def finished(desk: Desk, job: str, state: str = "done") -> None:
    await enqueue(desk, job)
    await desk.emit(attempt_id := await desk.take())
    assert await desk.finish(attempt_id, state=state) == "OK"


async def cancelled_while_queued(desk: Desk, job: str) -> None:
    await enqueue(desk, job)
    await desk.cancel(job)


async def cancelled_while_running(desk: Desk, job: str) -> None:
    await enqueue(desk, job)
    attempt_id = await desk.take()
    assert await desk.cancel(job) == "running"
    await desk.finish(attempt_id, state="cancelled")


async def superseded(desk: Desk, job: str) -> None:
    for number in range(2):
        await enqueue(desk, f"{job}-{number}", supersedes="tab")
    assert await desk.state(f"{job}-0") == "superseded"
    await desk.finish(await desk.take())


async def expired(desk: Desk, job: str) -> None:
    await enqueue(desk, job, wait_ms=500)
    await desk.reap_after(1000)


async def overdue(desk: Desk, job: str) -> None:
    await enqueue(desk, job)
    attempt_id = await desk.take()
    await desk.reap_after(DEADLINE_MS + 1000)
    await desk.finish(attempt_id, state="cancelled")


async def dropped(desk: Desk, job: str) -> None:
    for number in range(2):
        await enqueue(desk, f"{job}-{number}")
    await enqueue(desk, f"{job}-b", tenant="bob", bounds=(2, 2**20))
    assert await desk.state(f"{job}-1") == "dropped"
    for _ in range(2):
        await desk.finish(await desk.take())


async def limited(desk: Desk, job: str) -> None:
    await enqueue(desk, job, quota=f"{FAR_MS} 2026-11-27 0 -")  # nothing is left
    assert (await desk.claim())[1] == []
    assert await desk.state(job) == "limited"


async def refused(desk: Desk, job: str) -> None:
    await enqueue(desk, job, bounds=(0, 2**20))


async def crashed(desk: Desk, job: str) -> None:
    await enqueue(desk, job)
    for _ in range(2):
        await desk.release(await desk.take(), crashed=1)
    assert await desk.state(job) == "failed"


async def abandoned(desk: Desk, job: str) -> None:
    await desk.heartbeat(api := f"api of {job}")
    for name in (job, f"{job}-queued"):
        await enqueue(desk, name, api=api)
    attempt_id = await desk.take()
    await desk.redis.zadd(desk.keys.named("apis"), {api: 1})
    await desk.reap_after(1000)
    assert await desk.finish(attempt_id, state="cancelled") in ("OK", "FENCED")
    assert (await desk.claim())[1] == []
    assert await desk.state(f"{job}-queued") == "abandoned"


ENDS: list[End] = [
    *(partial(finished, state=state) for state in ("done", "failed", "rejected")),
    *(cancelled_while_queued, cancelled_while_running, superseded, expired, overdue),
    *(dropped, limited, refused, crashed, abandoned),
]


async def renewed(desk: Desk) -> None:
    """The worker and the API live."""
    await desk.join(slots=1)
    last = (await desk.heartbeat("a"))[1]
    await desk.heartbeat("a", read_to=last.decode())


async def lasting(desk: Desk) -> set[str]:
    """The keys without a time to live, of which each other one ends within the hour."""
    found = set()
    async for key in desk.redis.scan_iter():
        name, left_ms = key.decode().rpartition("}:")[2], await desk.redis.pttl(key)
        if left_ms < 0:
            found.add(name)
        elif not name.startswith("usage"):
            assert left_ms <= AN_HOUR_MS, name
    return found


@pytest.fixture
def redis_url(real_redis_url: str) -> str:
    """The fake takes long for it, and tells nothing more."""
    return real_redis_url


@pytest.mark.parametrize("end", ENDS)
async def test_nothing_of_a_job_that_ended_lasts(desk: Desk, end: End) -> None:
    """M6: at d26fdb4 the key that a job supersedes outlived its job by 70 minutes."""
    await renewed(desk)
    for number in range(3):
        await end(desk, f"j{number}")
        await renewed(desk)
    assert await desk.of_jobs() == []
    assert await desk.queue() == await desk.running() == []
    left = [key.decode().rpartition("}:")[2] async for key in desk.redis.scan_iter()]
    assert [key for key in left if key.startswith(("supersede:", "body:", "prefers:"))] == []
    assert await lasting(desk) <= OF_THE_LIVING | {"replies:a", "api:a", "worker:w"}


async def test_keys_do_not_become_more_with_the_jobs(desk: Desk) -> None:
    counts = []
    for round_ in range(2):
        for number, end in enumerate(ENDS):
            await renewed(desk)
            await end(desk, f"j{round_}-{number}")
        await renewed(desk)
        await desk.reap_after(2 * LEASE_MS)
        await renewed(desk)
        keys = [key async for key in desk.redis.scan_iter()]
        counts.append(len([key for key in keys if b":job:" not in key and b":prefix:" not in key]))
    assert counts[0] == counts[1] < 15
