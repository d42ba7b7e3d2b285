"""Whatever happens in whatever order, every job is queued, running or ended, and none is lost."""

from collections.abc import Awaitable, Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from dispatcher.constants import SIDE_PLACES
from dispatcher.frames import Kind
from dispatcher.reply import ENDS
from testing.desk import Desk
from testing.key_leaks import leaked_keys
from tests.unit.dispatcher.small_model import (
    MAX_ATTEMPTS,
    MAX_CRASHES,
    SLOTS,
    TENANTS,
    SmallJob,
    SmallModel,
)

# The fake would take half a minute for these, and say no more.
pytestmark = pytest.mark.parametrize("redis_url", ["real"], indirect=True)

HOUR_MS = 3_600_000
DAYS_MS = 400 * HOUR_MS


class Walk:
    """Does each step in Redis and in the model, and compares; `pick` chooses what it hits."""

    def __init__(self, redis: Redis) -> None:
        self.desk = Desk(redis)
        self.model = SmallModel()
        self.spent: set[str] = set()  # their apis learn it from the answer to `resume`
        self.claims = 0

    async def start(self) -> None:
        await self.desk.redis.flushall()
        await self.desk.heartbeat("a")
        for worker, slots in SLOTS.items():
            await self.desk.join(worker, slots)

    async def enqueue(self, pick: int) -> None:
        id_, size = f"j{len(self.model.jobs)}", pick % 50
        job = self.model.jobs[id_] = SmallJob(TENANTS[pick % 3], size, pick % 4 == 3)
        await self.desk.enqueue(
            id_,
            tenant=job.tenant,
            class_="side" if job.is_side else "any",
            body=b"x" * size,
            wait_ms=HOUR_MS,
            deadline_ms=DAYS_MS,
            attempts=MAX_ATTEMPTS,
            crashes=MAX_CRASHES,
        )

    async def enqueue_again(self, pick: int) -> None:
        if self.model.jobs:
            id_ = list(self.model.jobs)[pick % len(self.model.jobs)]
            job = self.model.jobs[id_]
            known = await self.desk.enqueue(id_, generation=job.generation)
            assert known == [b"KNOWN", job.state.encode()]

    async def claim(self, pick: int) -> None:
        self.claims += 1
        worker, most, nonce = list(SLOTS)[pick % 2], pick % 5, f"n{self.claims}"
        self.model.suspects = await self._suspects()
        running, queued = self.model.of("running", worker), self.model.of("queued")
        room = SLOTS[worker] - self.model.count(running, sides=False)
        places = SIDE_PLACES - self.model.count(running, sides=True)
        eager = self.model.eager(worker)
        sure = [id_ for id_ in eager if not self.model.is_suspect(id_)]
        free, attempt_ids = await self.desk.claim(worker, most, nonce=nonce)
        for sides, most_here in ((False, min(room, most)), (True, places)):
            taken = self.model.count(map(job_of, attempt_ids), sides=sides)
            assert taken <= min(most_here, self.model.count(queued, sides=sides))
            assert taken >= min(most_here, self.model.count(sure, sides=sides))
        assert free == room - self.model.count(map(job_of, attempt_ids), sides=False)
        if attempt_ids:
            again = await self.desk.claim(worker, most, nonce=nonce)
            assert (again[0], sorted(again[1])) == (free, sorted(attempt_ids))
        for attempt_id in sorted(
            attempt_ids, key=lambda attempt_id: int(attempt_id.split("-")[-2])
        ):
            assert self.model.in_turn(attempt_id.rpartition(":")[0], worker)
            self.model.claim(attempt_id, worker)
        suspects = [id_ for id_ in self.model.of("running", worker) if self.model.is_suspect(id_)]
        assert len(suspects) <= 1 or not set(suspects) & set(map(job_of, attempt_ids))

    async def _suspects(self) -> frozenset[str]:
        key, now = self.desk.keys.named("suspects"), await self.desk.now_ms()
        names = await self.desk.redis.zrangebyscore(key, f"({now}", "+inf")
        return frozenset(name.decode().partition("|")[0] for name in names)

    def _running(self, pick: int) -> tuple[str, SmallJob] | None:
        running = self.model.of("running")
        id_ = running[pick % len(running)] if running else ""
        return (id_, self.model.jobs[id_]) if running else None

    async def emit(self, pick: int) -> None:
        if found := self._running(pick):
            _, job = found
            assert await self.desk.emit(job.attempt_id, worker=job.worker, visible=pick % 2) == [
                b"OK"
            ]
            job.visible |= pick % 2 == 1

    async def finish(self, pick: int) -> None:
        if found := self._running(pick):
            _, job = found
            for _ in range(1 + pick % 2):
                assert await self.desk.finish(job.attempt_id, job.worker) == "OK"
            job.state = "done"

    async def release(self, pick: int) -> None:
        if found := self._running(pick):
            id_, job = found
            costs, crashed = min(1, pick % 3), pick % 3 // 2
            job.attempts -= 1 - costs
            job.avoids = job.worker if costs else job.avoids
            args = (job.attempt_id, job.worker)
            answer = await self.desk.release(*args, costs=costs, crashed=crashed)
            suspects = await self._suspects()
            counted = int((await self.desk.job(id_))["crashes"]) - job.crashes
            # A suspect that was there as well was rather to blame.
            assert counted == crashed or (counted == 0 and suspects - {job.tenant})
            job.crashes += counted
            assert answer[:2] == ["OK", self.model.give_back(id_)]
            assert {name.partition("|")[0] for name in answer[2:]} <= suspects
            assert await self.desk.release(*args, costs=costs, crashed=crashed) == ["OK", "gone"]

    async def cancel(self, pick: int) -> None:
        if self.model.jobs:
            id_ = list(self.model.jobs)[pick % len(self.model.jobs)]
            job = self.model.jobs[id_]
            assert await self.desk.cancel(id_) == job.state
            if job.state in ("queued", "lost"):
                job.state = "cancelled"
            job.cancelled |= job.state == "running"

    async def resume(self, pick: int) -> None:
        await self._resume(self.model.of("lost"), pick)

    async def begin_anew(self, pick: int) -> None:
        """Redis has forgotten an attempt that a client has seen, and begun another one."""
        await self._resume(self.model.of("running"), pick)

    async def _resume(self, lost: list[str], pick: int) -> None:
        if lost:
            id_, size = lost[pick % len(lost)], pick % 50
            attempt_id = self.model.jobs[id_].attempt_id
            verdict = self.model.resume(id_, size).encode()
            body, anywhere = b"x" * size, {"fingerprint": ""}
            assert (await self.desk.resume(attempt_id, body=body, **anywhere))[0] == verdict
            again = await self.desk.resume(attempt_id, body=body, **anywhere)
            assert again[0] == verdict
            if verdict == b"SPENT":
                self.spent.add(id_)

    async def die(self, pick: int) -> None:
        """A worker's lease runs out; it joins again after the reaper has come."""
        worker = list(SLOTS)[pick % 2]
        held = self.model.of("running", worker)
        while self.model.of("lost"):
            await self.resume(pick)
        await self._keep_ticking()
        await self.desk.redis.zadd(self.desk.keys.named("workers"), {worker: 1})
        assert (await self.desk.reap())[:3] == [b"OK", 1, len(held)]
        for id_ in held:
            self.model.give_back(id_)
        await self.desk.join(worker, SLOTS[worker])

    async def outage(self, pick: int) -> None:
        """Two hours without Redis: what had not been claimed before has waited for too long, and
        what was lost has not gone on in time.
        """
        self.desk.later(2 * HOUR_MS)
        assert await self.desk.reap() == [b"EXTENDED"]
        assert (await self.desk.reap())[:3] == [b"OK", 0, 0]
        for id_ in self.model.of("lost"):
            self.model.jobs[id_].state = "failed"
        for id_ in self.model.of("queued"):
            if "claimed" not in await self._history(id_):
                self.model.jobs[id_].state = "expired"

    async def _history(self, id_: str) -> str:
        # Only a job that was given back has its deadline as its limit of waiting.
        job = await self.desk.job(id_)
        return "claimed" if job["wait_until_ms"] == job["deadline_ms"] else ""

    async def _keep_ticking(self) -> None:
        counters, now = self.desk.keys.named("counters"), await self.desk.now_ms()
        await self.desk.redis.hset(counters, "reaped_ms", now)
        await self.desk.heartbeat("a")
        for worker in SLOTS:
            held = [self.model.jobs[id_].attempt_id for id_ in self.model.of("running", worker)]
            await self.desk.renew(*held, worker=worker, slots=SLOTS[worker])

    async def check(self) -> None:
        """Redis and the model agree on everything."""
        desk, model = self.desk, self.model
        assert {id_: await desk.state(id_) for id_ in model.jobs} == {
            id_: job.state for id_, job in model.jobs.items()
        }
        queue = await desk.queue()
        for tenant in TENANTS:
            in_turn = [id_ for id_ in queue if model.jobs[id_].tenant == tenant]
            theirs = [id_ for id_ in model.of("queued") if model.jobs[id_].tenant == tenant]
            assert in_turn == sorted(theirs, key=lambda id_: model.jobs[id_].is_side)
        for worker in SLOTS:
            held = {model.jobs[id_].attempt_id for id_ in model.of("running", worker)}
            assert set(await desk.running(worker)) == held
        assert await desk.counter("queued_bytes") == model.queued_bytes
        for class_, sides in (("any", False), ("side", True)):
            key = desk.keys.named("turns", f"{class_}|default")
            waiting = await desk.redis.zrange(key, 0, -1)
            jobs = [model.jobs[id_] for id_ in model.of("queued")]
            tenants = {job.tenant for job in jobs if job.is_side is sides}
            assert {name.decode() for name in waiting} == tenants
        deadlines = await desk.redis.zrange(desk.keys.named("deadlines"), 0, -1)
        waited_for = {*model.of("queued"), *model.of("running"), *model.of("lost")}
        assert {id_.decode() for id_ in deadlines} == waited_for

    async def check_counts(self) -> None:
        """What is counted as jobs come and go is what a count of all of them finds."""
        await self._keep_ticking()
        before = await self._counts()
        await self.desk.redis.hset(self.desk.keys.named("counters"), "recount", 1)
        await self.desk.reap()
        assert await self._counts() == before

    async def _counts(self) -> dict[str, object]:
        everything = await self.desk.everything()
        names = ("charged", "waiting", "busy", "classes", "turns:", "served:")
        counts = {k: v for k, v in everything.items() if k.rpartition("}:")[2].startswith(names)}
        for name in ("running", "sides_running", "queued_bytes"):
            counts[name] = await self.desk.counter(name)
        return counts

    async def check_end(self) -> None:
        """Every job can be brought to an end, is told so once, and leaves nothing behind."""
        await self.check_counts()
        while not all(job.ended for job in self.model.jobs.values()):
            await self.resume(0)
            await self.finish(0)
            await self.claim(3)
            await self.claim(4)
        await self.check()
        ends = [
            told.attempt_id.rpartition(":")[0]
            for told in await self.desk.told()
            if Kind(told.kind) in ENDS
        ]
        assert len(ends) == len(set(ends))
        silent = {id_ for id_, job in self.model.jobs.items() if job.state == "cancelled"}
        assert set(ends) | silent | self.spent == set(self.model.jobs)
        assert await self.desk.of_jobs() == []
        bodies = [key async for key in self.desk.redis.scan_iter(self.desk.keys.named("body", "*"))]
        assert (bodies, await leaked_keys(self.desk.redis)) == ([], [])


def job_of(attempt_id: str) -> str:
    return attempt_id.rpartition(":")[0]


STEPS = (
    "enqueue",
    "claim",
    "emit",
    "finish",
    "release",
    "resume",
    "begin_anew",
    "cancel",
    "die",
    "outage",
    "enqueue_again",
)
OFTEN = ("enqueue", "enqueue", "enqueue", "claim", "claim", "claim", *STEPS)


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(OFTEN), st.integers(0, 2**16)), min_size=25, max_size=60
    )
)
async def test_every_job_is_queued_running_or_ended(
    redis: Redis, steps: list[tuple[str, int]]
) -> None:
    walk = Walk(redis)
    await walk.start()
    for name, pick in steps:
        step: Callable[[int], Awaitable[None]] = getattr(walk, name)
        await step(pick)
        await walk.check()
    await walk.check_end()
