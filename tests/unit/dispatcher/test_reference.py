"""The scripts and the reference in Python always pick the same job, whatever came before."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from bench.reference.queue import ReferenceQueue
from bench.reference.turns import Entry
from bench.reference.worker import Claimed, Worker
from dispatcher import script_text
from dispatcher.commands import Identity, Offer, Wish
from dispatcher.constants import SIDE_PLACES
from dispatcher.patience import EAGER, Patience
from testing.desk import Desk
from testing.queued_jobs import ended_attempt, queued_job

# The fake would take half a minute for these, and say no more.
pytestmark = pytest.mark.parametrize("redis_url", ["real"], indirect=True)

CLOCK = "llamaq:{tiny}:clock"
HOUR_MS = 3_600_000
TOKENS = 700, 1100  # as `Desk.finish` tells
WORKERS = {
    "big": Worker(3, context=8192, fingerprint="b1", process="p1", prompt_tps=2500, decode_tps=9),
    "small": Worker(2, context=2048, fingerprint="b1", process="p1", prompt_tps=250, decode_tps=4),
    "eyes": Worker(
        2, context=2048, modalities=frozenset({"vision"}), fingerprint="b2", process="p1"
    ),
}
CLASSES = ("any", "any", "side", "any", "context>2048", "vision", "build=b1", "side", "side,vision")
PATIENCE = (
    EAGER,
    Patience(0.5, 3, 2000, 1, ("big",)),
    Patience(20, 40, 1500, 2.5, ("big", "eyes")),
)


@pytest.fixture(autouse=True)
def frozen_clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The scripts' clock stands still until a step moves it: a slow test is no other test."""
    monkeypatch.setattr(script_text, "NOW_MS", f"redis.call('GET', '{CLOCK}') * 1000")
    script_text.script_text.cache_clear()
    yield
    script_text.script_text.cache_clear()


@pytest.fixture
async def redis(redis: Redis) -> AsyncIterator[Redis]:
    yield redis
    await redis.delete(CLOCK)


class Pair:
    """Does each step in Redis and in the reference; `pick` chooses what it hits."""

    def __init__(self, redis: Redis) -> None:
        self.desk = Desk(redis)
        self.reference = ReferenceQueue(max_running=5)
        self.now_s = 1_000_000
        self.attempt_ids: dict[str, str] = {}
        self._numbers = count()

    async def start(self) -> None:
        await self.desk.redis.flushall()
        await self.later(0)
        await self.desk.heartbeat("a")
        for name, worker in WORKERS.items():
            self.reference.workers[name] = Worker(
                worker.slots,
                context=worker.context,
                modalities=worker.modalities,
                fingerprint=worker.fingerprint,
                process=worker.process,
                prompt_tps=worker.prompt_tps,
                decode_tps=worker.decode_tps,
            )
            await self._join(name, worker)

    async def _join(self, name: str, worker: Worker) -> None:
        facts = {"context": worker.context, "modalities": ",".join(worker.modalities)}
        facts |= {"fingerprint": worker.fingerprint, "process": worker.process}
        facts |= {"prompt_tps": worker.prompt_tps, "decode_tps": worker.decode_tps}
        await self.desk.join(name, worker.slots, **facts)

    async def later(self, pick: int) -> None:
        self.now_s += pick % 4
        await self.desk.redis.set(CLOCK, self.now_s)

    def _entry(self, pick: int) -> Entry:
        tenant = pick % 4
        prompt, completion = pick % 700 + 1, pick % 300
        return Entry(
            id=f"j{next(self._numbers)}",
            tenant=f"t{tenant}",
            user=("-", "u1", "u2")[pick // 4 % 3] if tenant == 0 else "-",
            tier=("default", "default", "flex", "priority")[pick // 3 % 4],
            weight=(1, 3, 0.5, 1)[tenant],
            class_=CLASSES[pick // 7 % len(CLASSES)],
            estimate=prompt * 1000 + completion * 2000,
            prompt_tokens=prompt,
            completion_tokens=completion,
            max_tenant_running=2 if tenant == 3 else 0,
            prefixes=tuple(f"h{pick // 5 % 6 - i}" for i in range(pick % 3)),
        )

    async def enqueue(self, pick: int) -> None:
        await self._enqueue([self._entry(pick)])

    async def enqueue_some(self, pick: int) -> None:
        """In one call; all of one tenant, or of several that have no bound."""
        entries = [self._entry(pick * 31 + more * (4 if pick % 4 == 3 else 1)) for more in range(5)]
        bound = entries[0].max_tenant_running
        await self._enqueue([each for each in entries if each.max_tenant_running == bound])

    async def _enqueue(self, entries: list[Entry]) -> None:
        rows = [
            queued_job(
                entry.id,
                tenant=entry.tenant,
                user=entry.user,
                tier=entry.tier,
                weight=entry.weight,
                class_=entry.class_,
                estimate=entry.estimate,
                tokens=(entry.prompt_tokens, entry.completion_tokens),
                wait_ms=400 * HOUR_MS,
                deadline_ms=400 * HOUR_MS,
                prefixes=entry.prefixes,
            )
            for entry in entries
        ]
        for entry in entries:
            self.reference.enqueue(entry, self.now_s * 1000)
        bound = entries[0].max_tenant_running
        verdicts = await self.desk.enqueue_together(*rows, max_tenant_running=bound)
        assert {verdict[0] for verdict in verdicts} == {b"OK"}
        if len(rows) > 1:  # its answer was lost, and it came twice
            again = await self.desk.enqueue_together(*rows, max_tenant_running=bound)
            assert {verdict[0] for verdict in again} == {b"KNOWN"}

    async def claim(self, pick: int) -> None:
        worker, most, sides = list(WORKERS)[pick % 3], pick // 3 % 4, SIDE_PLACES - pick // 36 % 5
        patience = PATIENCE[pick // 12 % 3]
        for name in WORKERS:
            await self.desk.rung(name)
        got = self.reference.claim(worker, most, self.now_s * 1000, patience, sides)
        answer = await self.desk.claim_raw(
            worker, most, max_running=5, patience=patience, most_sides=sides
        )
        await self._compare(worker, got, answer)

    async def _compare(self, worker: str, got: Claimed, answer: list[Any]) -> None:
        _, free, again_ms, *rows = answer
        attempt_ids = [row[0].decode() for row in rows]
        assert [attempt_id.rpartition(":")[0] for attempt_id in attempt_ids] == [
            job.id for job in got.jobs
        ]
        assert int(again_ms) == got.again_ms
        assert free == self.reference.workers[worker].free
        for name in got.called:
            assert await self.desk.rung(name), f"{name} was not called"
        self.attempt_ids |= {
            attempt_id.rpartition(":")[0]: attempt_id for attempt_id in attempt_ids
        }

    def _running(self, pick: int) -> Entry | None:
        running = [self.reference.jobs[id_] for id_ in self.attempt_ids]
        return running[pick % len(running)] if running else None

    async def finish(self, pick: int) -> None:
        await self._finish(pick, 1)

    async def finish_some(self, pick: int) -> None:
        """In one call, which comes twice: its answer was lost."""
        await self._finish(pick, 3)

    async def _finish(self, pick: int, number: int) -> None:
        if not (entry := self._running(pick)):
            return
        worker, most, patience = entry.worker, pick // 5 % 3, PATIENCE[pick // 15 % 3]
        for name in WORKERS:
            await self.desk.rung(name)
        ended = []
        known = self.reference.workers[worker]
        for nth, id_ in enumerate(sorted(known.running | known.sides)[:number]):
            cost, done = (pick + nth) * 37 % 1_500_000, (pick + nth) % 5 > 0
            self.reference.finish(id_, cost, TOKENS, self.now_s * 1000, done=done)
            ended.append(
                ended_attempt(self.attempt_ids.pop(id_), "done" if done else "failed", cost)
            )
        got = self.reference.claim(worker, most, self.now_s * 1000, patience)
        who, wish = (
            Identity(worker, "e"),
            Wish(Offer(most, SIDE_PLACES), f"f{next(self._numbers)}", 5, patience),
        )
        answer = await self.desk.commands.finish(who, wish, ended)
        assert answer.pop(3) == [1] * len(ended)
        if number > 1 and got.jobs:
            again = await self.desk.commands.finish(who, wish, ended)
            assert again[0] == b"OK"
            assert {row[0] for row in again[4:]} == {row[0] for row in answer[3:]}
        await self._compare(worker, got, answer)

    async def release(self, pick: int) -> None:
        if entry := self._running(pick):
            worker, costs, crashed = entry.worker, min(1, pick % 3), pick % 3 // 2
            now_ms = self.now_s * 1000
            self.reference.release(entry.id, now_ms, costs=bool(costs), crashed=bool(crashed))
            attempt_id = self.attempt_ids.pop(entry.id)
            await self.desk.release(attempt_id, worker, costs=costs, crashed=crashed)

    async def crash(self, pick: int) -> None:
        """A server crashes: its bridge gives all its jobs back."""
        name, now_ms = list(WORKERS)[pick % 3], self.now_s * 1000
        known = self.reference.workers[name]
        for id_ in sorted(known.running | known.sides, reverse=pick % 2 > 0):
            self.reference.release(id_, now_ms, costs=True, crashed=True)
            await self.desk.release(self.attempt_ids.pop(id_), name, crashed=1)

    async def cancel(self, pick: int) -> None:
        queued = [id_ for id_ in self.reference.jobs if id_ not in self.attempt_ids]
        if queued:
            id_ = queued[pick % len(queued)]
            self.reference.cancel(id_)
            await self.desk.cancel(id_)

    async def renew(self, pick: int) -> None:
        """Running jobs turn out to cost more, and slots to be more or fewer."""
        name = list(WORKERS)[pick % 3]
        worker = self.reference.workers[name]
        worker.slots, worker.accepting = pick // 3 % 4 + 1, pick % 7 > 0
        held = [self.attempt_ids[id_] for id_ in worker.running | worker.sides]
        for id_ in worker.running | worker.sides:
            self.reference.raise_estimate(id_, pick * 11)
        await self.desk.renew(
            *held, worker=name, slots=worker.slots, accepting=int(worker.accepting), cost=pick * 11
        )

    async def restart(self, pick: int) -> None:
        """A server is started again: its cache is empty."""
        name = list(WORKERS)[pick % 3]
        process = f"p{self.now_s}x{pick}"
        self.reference.workers[name].process = process
        await self.desk.redis.hset(self.desk.keys.named("worker", name), "process", process)

    async def reap(self, pick: int) -> None:
        counters = self.desk.keys.named("counters")
        await self.desk.redis.hset(counters, "reaped_ms", (self.now_s - 1) * 1000)
        for name in ("workers", "apis"):
            key = self.desk.keys.named(name)
            for id_ in await self.desk.redis.zrange(key, 0, -1):
                await self.desk.redis.zadd(key, {id_: self.now_s * 2000})
        self.reference.turns.forget_idle()
        assert (await self.desk.commands.reap(1000, 100))[0] == b"OK"

    async def much_later(self, _: int) -> None:
        """What is suspected now is forgotten."""
        self.now_s += 300
        await self.desk.redis.set(CLOCK, self.now_s)

    async def check(self) -> None:
        """The same are next, with the same counters, and the same run: the first in slots, the
        others beside them.
        """
        for name, worker in self.reference.workers.items():
            key = self.desk.keys.named("running", name)
            rows = await self.desk.redis.zrange(key, 0, -1, withscores=True)
            running = {
                attempt_id.decode().rpartition(":")[0]: score > 0 for attempt_id, score in rows
            }
            assert {id_ for id_, in_slot in running.items() if in_slot} == worker.running
            assert running.keys() - worker.running == worker.sides
            assert len(worker.sides) <= SIDE_PLACES
        for class_ in set(CLASSES):
            for parent in ("", "default", "flex", "priority", "default|t0"):
                key = self.desk.keys.named("turns", f"{class_}|{parent}" if parent else class_)
                row = await self.desk.redis.zrange(key, 0, -1, withscores=True)
                expected = self.reference.turns.of(class_, parent).first(99)
                assert [(score, name.decode()) for name, score in row] == expected

    async def run_dry(self) -> None:
        """Everything can be brought to an end, and nothing is left."""
        for name in WORKERS:
            self.reference.workers[name].accepting = True
            self.reference.workers[name].slots = 3
            known = self.reference.workers[name]
            held = [self.attempt_ids[id_] for id_ in known.running | known.sides]
            await self.desk.renew(*held, worker=name, slots=3)
        while self.reference.jobs:
            await self.later(1)
            for pick in range(9, 12):
                await self.claim(pick)
            while self.attempt_ids:
                await self.finish(1)
        assert await self.desk.of_jobs() == []


STEPS = ("release", "cancel", "renew", "restart", "reap", "later", "much_later", "crash")
OFTEN = (
    ("enqueue",) * 4 + ("enqueue_some", "finish_some", "finish", "finish") + ("claim",) * 4 + STEPS
)


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # to shrink a failure takes minutes
)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(OFTEN), st.integers(0, 2**16)), min_size=20, max_size=120
    )
)
async def test_scripts_and_reference_pick_the_same_jobs(
    redis: Redis, steps: list[tuple[str, int]]
) -> None:
    pair = Pair(redis)
    await pair.start()
    for name, pick in steps:
        step: Callable[[int], Awaitable[None]] = getattr(pair, name)
        await step(pick)
        await pair.check()
    await pair.run_dry()
