"""Who may act for an attempt: only the holder, under its registration, with its very id."""

import pytest

from testing.desk import LEASE_MS, Desk

# On the fake their scripts take ten times as long.
pytestmark = pytest.mark.parametrize("redis_url", ["real"], indirect=True)

CALLS = ("claim", "emit", "renew", "finish", "release")


async def call(desk: Desk, name: str, attempt_id: str, worker: str = "w", epoch: str = "e") -> str:
    """The verdict of one script for an attempt."""
    if name == "claim":
        verdict = (await desk.claim_raw(worker, epoch=epoch))[0]
    elif name == "emit":
        verdict = (await desk.emit(attempt_id, worker=worker, epoch=epoch))[0]
    elif name == "renew":
        verdict = (await desk.renew(attempt_id, worker=worker, epoch=epoch))[0]
    elif name == "finish":
        return await desk.finish(attempt_id, worker, epoch=epoch)
    else:
        return (await desk.release(attempt_id, worker, epoch=epoch))[0]
    return str(verdict, "ascii")


@pytest.mark.parametrize("name", CALLS)
async def test_stale_epoch_is_refused_and_changes_nothing(desk: Desk, name: str) -> None:
    await desk.join(epoch="old")
    await desk.enqueue("j1", "j2")
    _, (attempt_id,) = await desk.claim(epoch="old")
    await desk.join(epoch="new")
    await desk.claim(epoch="new")
    before = await desk.everything()
    assert await call(desk, name, attempt_id, epoch="old") == "FENCED"
    assert await desk.everything() == before


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("epoch", ["", "e"])
async def test_worker_that_never_joined_is_refused(desk: Desk, name: str, epoch: str) -> None:
    await desk.enqueue("j1")
    before = await desk.everything()
    assert await call(desk, name, "j1:n-1", epoch=epoch) == "FENCED"
    assert await desk.everything() == before


@pytest.mark.parametrize("name", CALLS)
async def test_worker_whose_registration_the_reaper_ended(desk: Desk, name: str) -> None:
    await desk.join()
    await desk.enqueue("j1")
    attempt_id = await desk.take()
    await desk.reap_after(LEASE_MS)
    before = await desk.everything()
    assert await call(desk, name, attempt_id) == "FENCED"
    assert await desk.everything() == before


async def test_lease_that_ran_out_is_no_fence_until_a_reaper_comes(desk: Desk) -> None:
    await desk.join()
    await desk.enqueue("j1")
    attempt_id = await desk.take()
    desk.later(3 * LEASE_MS)
    await desk.heartbeat("a")
    assert await desk.emit(attempt_id) == [b"OK"]
    assert await desk.finish(attempt_id) == "OK"


async def two_holders(desk: Desk) -> tuple[str, str]:
    """Attempts of two workers at one job: a failover has forgotten the first one's claim."""
    await desk.join("w")
    await desk.join("v")
    await desk.enqueue("j1")
    first = await desk.take("w")
    await desk.redis.delete(desk.keys.named("running", "w"), desk.keys.named("job", "j1"))
    await desk.redis.delete(desk.keys.named("body", "j1"))
    await desk.enqueue("j1")
    return first, await desk.take("v")


async def test_only_the_holder_can_emit(desk: Desk) -> None:
    first, second = await two_holders(desk)
    assert await desk.emit(first, worker="w") == [b"OK", first.encode()]
    assert await desk.emit(second, worker="v") == [b"OK"]
    assert await desk.heard() == [(second, "chunk")]


async def test_only_the_holder_can_finish(desk: Desk) -> None:
    first, second = await two_holders(desk)
    assert await desk.finish(first, "w") == "FENCED"
    assert await desk.state("j1") == "running"
    assert await desk.finish(second, "v") == "OK"
    assert await desk.finish(first, "w") == "FENCED"
    assert await desk.heard() == [(second, "done")]


async def test_only_the_holder_can_release(desk: Desk) -> None:
    first, second = await two_holders(desk)
    assert await desk.release(first, "w") == ["OK", "gone"]
    assert (await desk.running("v"), await desk.state("j1")) == ([second], "running")


async def test_only_the_holder_can_renew(desk: Desk) -> None:
    first, second = await two_holders(desk)
    assert await desk.renew(first, worker="w") == [b"OK", [first.encode()], [], []]
    assert await desk.renew(second, worker="v") == [b"OK", [], [], []]


async def test_death_of_who_lost_the_claim_does_not_touch_the_holder(desk: Desk) -> None:
    first, second = await two_holders(desk)
    await desk.redis.zadd(desk.keys.named("running", "w"), {first: 1})
    await desk.join("w", epoch="new")
    assert (await desk.running("v"), await desk.state("j1")) == ([second], "running")
    assert await desk.heard() == []
