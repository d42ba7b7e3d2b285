"""Tenants whose jobs crash servers: who is blamed, for how long, and what the others notice."""

import pytest

from dispatcher.constants import (
    CRASHES_KEPT,
    CRASHES_OF_USERS,
    HELD_BACK_MS,
    SAME_CRASH_MS,
    SPACED_MS,
    SUSPECTED_MS,
    WELL_DONE_MS,
)
from dispatcher.suspects import read_suspects
from testing.desk import Desk
from testing.queued_jobs import jobs_of

# On the fake their scripts take ten times as long.
pytestmark = pytest.mark.parametrize("redis_url", ["real"], indirect=True)


class Stage:
    """Two workers with four slots each. A crash gives back all that one of them holds."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._number = 0

    async def join(self) -> None:
        for worker in ("w", "v"):
            await self.desk.join(worker, 4, process=f"process of {worker}")

    async def ask(self, tenant: str, user: str = "-", *, crashes: int = 9, of: str = "") -> str:
        """`of` names a conversation."""
        self._number += 1
        job = f"{tenant}{self._number}"
        told = {"tenant": tenant, "user": user, "prefixes": (of,) if of else ()}
        await self.desk.enqueue(job, attempts=99, crashes=crashes, wait_ms=SUSPECTED_MS, **told)
        return job

    async def serve(self, tenant: str, of: str = "") -> None:
        """It asks, and gets its answer from the first worker."""
        job = await self.ask(tenant, of=of)
        (attempt_id,) = await self.claim("w")
        assert attempt_id.startswith(job)
        await self.desk.finish(attempt_id)

    async def later(self, ms: int) -> None:
        self.desk.later(ms)
        for worker in ("w", "v"):
            await self.desk.renew(worker=worker, slots=4)
        await self.desk.heartbeat("a")

    async def crash(self, worker: str, *tenants: str, user: str = "-") -> list[str]:
        """A server that holds a job of each of these; its bridge ends all of them. Returns who is
        under suspicion since then.
        """
        self.desk.later(SAME_CRASH_MS)
        jobs = [await self.ask(tenant, user) for tenant in tenants]
        held = jobs_of(await self.claim(worker))
        assert set(held) == set(jobs)
        suspected: list[str] = []
        for attempt_id in await self.desk.running(worker):
            suspected += (await self.desk.release(attempt_id, worker, crashed=1))[2:]
        for job in jobs:
            await self.desk.cancel(job)
        return suspected

    async def claim(self, worker: str) -> list[str]:
        return (await self.desk.claim(worker))[1]

    async def suspects(self) -> set[str]:
        now = await self.desk.now_ms()
        names = await self.desk.redis.zrangebyscore(self.desk.keys.named("suspects"), now, "+inf")
        return {name.decode() for name in names}


@pytest.fixture
async def stage(desk: Desk) -> Stage:
    stage = Stage(desk)
    await stage.join()
    return stage


async def test_crashes_of_two_servers_put_a_tenant_under_suspicion(stage: Stage) -> None:
    assert await stage.crash("w", "bad") == []
    assert await stage.crash("w", "bad") == []
    assert await stage.crash("v", "bad", "good") == ["bad|-"]
    assert await stage.suspects() == {"bad|-"}


async def test_each_worker_runs_one_job_of_suspects(stage: Stage) -> None:
    await stage.crash("w", "bad", "other")
    assert sorted(await stage.crash("v", "bad", "other")) == ["bad|-", "other|-"]
    for tenant in ("bad", "bad", "other", "other", "good", "good", "good", "good"):
        await stage.ask(tenant)
    for worker in ("w", "v"):
        held = await stage.claim(worker)
        assert len([attempt_id for attempt_id in held if not attempt_id.startswith("good")]) == 1
    attempt_id = next(each for each in await stage.desk.running("w") if not each.startswith("good"))
    *_, (following, *_) = await stage.desk.finish_raw(attempt_id)
    assert not following.startswith(b"good")  # the next of them


async def test_a_worker_that_runs_a_suspect_calls_one_that_does_not(stage: Stage) -> None:
    await stage.crash("w", "bad")
    await stage.crash("v", "bad")
    await stage.ask("bad")
    await stage.claim("w")
    await stage.desk.rung("v")
    await stage.ask("bad")
    assert await stage.claim("w") == []
    assert await stage.desk.rung("v")
    assert len(await stage.claim("v")) == 1


async def test_suspicion_ends_by_itself(stage: Stage) -> None:
    await stage.crash("w", "bad")
    await stage.crash("v", "bad")
    await stage.later(SUSPECTED_MS + 1)
    jobs = [await stage.ask("bad") for _ in range(4)]
    assert jobs_of(await stage.claim("w")) == jobs
    assert await stage.suspects() == set()


async def test_answers_that_go_well_end_it_sooner(stage: Stage) -> None:
    """Nobody is condemned for long where machines died that held jobs of many."""
    await stage.crash("w", "a", "b", "c")
    await stage.crash("v", "a", "b", "c")
    for _ in range(SUSPECTED_MS // WELL_DONE_MS):
        assert "a|-" in await stage.suspects()
        await stage.ask("a")
        (attempt_id,) = await stage.claim("w")
        await stage.desk.finish(attempt_id)
    assert await stage.suspects() == {"b|-", "c|-"}


async def convict(stage: Stage, user: str = "-") -> None:
    """`bad` is a suspect, and a server crashes under it alone. Others are served here, too."""
    await stage.serve("good")
    for worker in ("w", "v", "w"):
        await stage.crash(worker, "bad", user=user)


async def test_suspect_is_held_back_after_a_crash_that_is_its_own(stage: Stage) -> None:
    await convict(stage)
    jobs = {await stage.ask("bad"), await stage.ask("bad")}
    good = await stage.ask("good")
    _, _, again_ms, (attempt_id, *_) = await stage.desk.claim_raw("w")
    await stage.desk.finish(attempt_id.decode())
    assert jobs_of([attempt_id.decode()]) == [good]
    assert 0 <= HELD_BACK_MS - int(again_ms) < 10_000
    assert await stage.claim("v") == []
    await stage.later(HELD_BACK_MS)
    held = [*await stage.claim("w"), *await stage.claim("v")]
    assert len(held) == 1  # the servers don't crash at the same time
    stage.desk.later(SPACED_MS)
    assert {*jobs_of([*held, *await stage.claim("v")])} == jobs


async def test_who_is_alone_with_a_model_is_not_held_back(stage: Stage) -> None:
    for worker in ("w", "v", "w", "v"):
        await stage.crash(worker, "bad")
    job = await stage.ask("bad")
    assert jobs_of(await stage.claim("w")) == [job]


async def test_end_users_of_a_suspect_are_held_back_together(stage: Stage) -> None:
    await stage.serve("good")
    for number in range(CRASHES_OF_USERS + 1):
        await stage.crash("wv"[number % 2], "web", user=f"u{number}")
    await stage.ask("web", "another")
    assert await stage.claim("w") == []


async def test_who_was_held_back_stays_a_suspect_though_answers_go_well(stage: Stage) -> None:
    await convict(stage)
    await stage.later(HELD_BACK_MS)
    for _ in range(SUSPECTED_MS // WELL_DONE_MS):
        await stage.serve("bad")
        stage.desk.later(SPACED_MS)
    assert await stage.suspects() == {"bad|-"}


async def test_suspect_gains_nothing_by_a_cache(stage: Stage) -> None:
    """What a worker has of its conversation would take it past what holds it back."""
    await stage.serve("bad", of="h1")
    await convict(stage)
    job = await stage.ask("bad", of="h1")
    assert (await stage.desk.job(job))["prefers"] == "w"
    assert await stage.claim("w") == []


async def test_side_requests_that_go_well_end_nothing(stage: Stage) -> None:
    await stage.crash("w", "bad")
    await stage.crash("v", "bad")
    for number in range(9):
        await stage.desk.enqueue(f"side{number}", tenant="bad", class_="side")
        (attempt_id,) = await stage.claim("w")
        await stage.desk.finish(attempt_id)
    assert await stage.suspects() == {"bad|-"}


async def test_who_was_beside_a_suspect_is_not_blamed(stage: Stage) -> None:
    await stage.crash("w", "bad")
    await stage.crash("v", "bad")
    for worker in ("w", "v", "w", "v"):
        assert await stage.crash(worker, "bad", "good") == []
    assert await stage.suspects() == {"bad|-"}


async def test_a_crash_by_one_suspect_alone_clears_the_other(stage: Stage) -> None:
    await stage.crash("w", "bad", "good")
    await stage.crash("v", "bad", "good")
    assert await stage.suspects() == {"bad|-", "good|-"}
    await stage.crash("w", "bad")
    assert await stage.suspects() == {"bad|-"}
    assert await stage.crash("v", "good", "bad") == []  # nor is anything held against it


async def test_one_who_crashed_servers_of_its_own_is_not_cleared(stage: Stage) -> None:
    await stage.crash("w", "bad")
    await stage.crash("v", "bad")
    await stage.crash("w", "worse")
    await stage.crash("v", "worse")
    await stage.crash("w", "bad")
    assert await stage.suspects() == {"bad|-", "worse|-"}


async def test_end_user_is_the_suspect_and_not_those_with_the_same_token(stage: Stage) -> None:
    await stage.crash("w", "web", user="eve")
    assert await stage.crash("v", "web", user="eve") == ["web|eve"]
    await stage.crash("w", "web", user="eve")
    await stage.crash("v", "web", user="eve")
    assert await stage.suspects() == {"web|eve"}
    jobs = [await stage.ask("web", "ann") for _ in range(4)]
    assert jobs_of(await stage.claim("w")) == jobs


async def test_many_end_users_are_one_tenant(stage: Stage) -> None:
    """As of a delegate that makes up users: each of them crashes one server."""
    for number in range(CRASHES_OF_USERS):
        assert await stage.suspects() == set()
        await stage.crash("wv"[number % 2], "web", user=f"u{number}")
    assert await stage.suspects() == {"web|-"}
    for number in range(100, 104):
        await stage.ask("web", f"u{number}")
    assert len(await stage.claim("w")) == 1


async def test_job_that_was_beside_a_suspect_does_not_end_with_it(stage: Stage) -> None:
    """A fresh job of the hostile tenant got to the server where the other's job ran once more."""
    good = await stage.ask("good", crashes=2)
    for worker in ("w", "v"):
        stage.desk.later(SAME_CRASH_MS)
        bad = await stage.ask("bad")
        held = await stage.claim(worker)
        assert set(jobs_of(held)) == {good, bad}
        for attempt_id in held:
            assert (await stage.desk.release(attempt_id, worker, crashed=1))[1] == "revoked"
        await stage.desk.cancel(bad)
    assert jobs_of(await stage.claim("w")) == [good]
    await stage.ask("bad")
    assert await stage.claim("w") == []  # from now on it never is beside one
    stage.desk.later(SAME_CRASH_MS)
    (attempt_id,) = await stage.desk.running("w")
    assert (await stage.desk.release(attempt_id, "w", crashed=1))[1] == "failed"


async def test_what_is_remembered_of_crashes_is_bounded(stage: Stage) -> None:
    key, now = stage.desk.keys.named("crashes"), await stage.desk.now_ms()
    rows = {f"t{n}|-|{now}|x{n}": now - CRASHES_KEPT * 2 + n for n in range(CRASHES_KEPT + 500)}
    await stage.desk.redis.zadd(key, rows)
    await stage.crash("w", "bad")
    assert await stage.desk.redis.zcard(key) == CRASHES_KEPT + 1


async def test_nothing_of_it_stays(stage: Stage) -> None:
    await stage.crash("w", "bad")
    await stage.crash("v", "bad")
    for name in ("crashes", "suspects"):
        assert 0 < await stage.desk.redis.pttl(stage.desk.keys.named(name)) <= SUSPECTED_MS


async def test_status_reads_who_is_suspected(desk: Desk) -> None:
    now_ms = await desk.now_ms()
    over = {"gone|-": now_ms - 1, "bad|-": now_ms + 60_000, "web|eve": now_ms + 90_000}
    await desk.redis.zadd(desk.keys.named("suspects"), over)
    await desk.redis.pexpire(desk.keys.named("suspects"), 90_000)
    link = desk.redis.link  # type: ignore[attr-defined]
    eve, bad = await read_suspects(link, "tiny")
    assert (eve.title, bad.title) == ("web|eve", "bad")
    assert 59 <= bad.seconds <= 61


async def test_good_tenant_is_served_beside_one_that_crashes_servers_all_the_time(
    stage: Stage,
) -> None:
    """At d26fdb4 (H1) crashes counted for jobs alone, never for their tenant.

    In each round a server that holds a job of the hostile tenant crashes; all else is answered.

    Each crash meets both tenants until it is known whose fault it is.
    """
    desk, asked, served = stage.desk, dict[str, int](), dict[str, int]()
    for number in range(25):
        await stage.ask("bad", f"u{number}", crashes=2)
        await stage.ask("bad", f"v{number}", crashes=2)
        asked[await stage.ask("good", crashes=2)] = number
        for worker in ("w", "v"):
            desk.later(SAME_CRASH_MS)
            held = await stage.claim(worker)
            is_crash = any(attempt_id.startswith("bad") for attempt_id in held)
            for attempt_id in held:
                if is_crash:
                    verdict = (await desk.release(attempt_id, worker, crashed=1))[1]
                    assert verdict == "revoked" or attempt_id.startswith("bad"), attempt_id
                else:
                    await desk.finish(attempt_id, worker)
                    served[jobs_of([attempt_id])[0]] = number
    waited = [served[job] - asked[job] for job in asked if asked[job] < 20]
    assert max(waited) <= 4, waited
