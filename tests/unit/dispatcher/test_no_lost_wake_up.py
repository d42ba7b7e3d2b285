"""Bridges of all kinds that can wait for ever: what isn't claimed by a call is never claimed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count
from random import Random

import pytest

from dispatcher.connection import open_redis
from dispatcher.job import Claim
from testing.desk import LEASE_MS, Desk
from testing.toy_bridge import Log, Sort, ToyBridge
from testing.waiting import until

JOBS = 300
EVERY = 40  # jobs after which a bridge dies and another one joins
NEVER_S = 3600.0
PROMPT, COMPLETION = 20, 4

FAST, SLOW = (4000, 800), (800, 200)  # 10 ms and 45 ms a job
KINDS = {
    "small": Sort(1, *FAST),
    "tiny": Sort(1, *FAST),
    "eyes": Sort(2, *FAST, modalities="vision"),
    "slow": Sort(2, *SLOW),
    "slow-eyes": Sort(1, *SLOW, modalities="vision"),
    "slow-ears": Sort(1, *SLOW, modalities="audio"),
    "snail": Sort(2, 0.01, 0.01),  # it leaves every job to others
    "new": Sort(1),
    "mortal": Sort(4, *FAST),
}


@pytest.fixture
def redis_url(real_redis_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Nobody ever claims because of the time, but for jobs that were left to others."""
    monkeypatch.setattr("worker_bridge.calls.BLOCK_S", NEVER_S)
    return real_redis_url


class Fleet:
    """The bridges, and what they do. Jobs end when the gate is open, after a time of their own."""

    def __init__(self, desk: Desk, url: str) -> None:
        self.desk = desk
        self.random = Random(7)  # noqa: S311
        self.bridges: list[ToyBridge] = []
        self.enqueued = 0
        self.ended: set[str] = set()
        self.gate = asyncio.Semaphore(10**6)
        self._url = url
        self._numbers = count()

    async def join(self, kind: str) -> None:
        clients = (
            open_redis(self._url),
            open_redis(self._url, silence_s=2 * NEVER_S),
        )
        log = Log(freed=lambda _, claim: self.ended.add(claim.job))
        name = f"{kind}-{next(self._numbers)}"
        bridge = ToyBridge(name, KINDS[kind], self.desk.keys, clients, self._work, log)
        self.bridges.append(bridge)
        await bridge.open()
        await until(bridge.has_claimed)  # it was called because it joined

    async def _work(self, bridge: ToyBridge, _: Claim) -> None:
        await self.gate.acquire()
        prompt_tps, decode_tps = SLOW if "slow" in bridge.name else FAST
        mean_s = PROMPT / prompt_tps + COMPLETION / decode_tps
        await asyncio.sleep(mean_s * self.random.uniform(0.5, 1.5))

    @property
    def claims(self) -> int:
        return sum(bridge.session.claims for bridge in self.bridges)

    async def replace_mortal(self) -> None:
        """One dies, with its jobs and maybe with a ring; another one joins, the reaper finds it."""
        mortal = next(b for b in self.bridges if b.sort is KINDS["mortal"] and b.alive)
        await mortal.die()
        await self.join("mortal")
        keys, redis = self.desk.keys, self.desk.redis
        await redis.zadd(keys.named("workers"), {mortal.name: 1})
        await redis.hset(keys.named("counters"), "reaped_ms", await self.desk.now_ms() - 1000)
        verdict, gone, *_ = await self.desk.commands.reap(LEASE_MS, 100)
        assert (verdict, len(gone)) == (b"OK", 3)

    async def enqueue(self) -> None:
        random, number = self.random, self.enqueued
        self.enqueued += 1
        await self.desk.enqueue(
            f"j{number}",
            tenant=random.choice(("ann", "bob", "eve")),
            class_=random.choice(("any",) * 5 + ("vision", "audio")),
            tokens=(random.randrange(2 * PROMPT), random.randrange(2 * COMPLETION)),
            attempts=99,
            prefixes=random.choice(((), (), (f"talk-{number % 20}",))),
        )

    async def all_ended(self) -> bool:
        return len(self.ended) == self.enqueued

    async def no_slot_is_free_in_vain(self) -> bool:
        """Nobody has room for a job that waits."""
        waiting = await self.desk.redis.zrange(self.desk.keys.named("classes"), 0, -1)
        free = [b for b in self.bridges if b.free > 0 and b.sort is not KINDS["snail"]]
        needs = {class_.decode() for class_ in waiting}
        return not (free and "any" in needs) and needs.isdisjoint(b.sort.modalities for b in free)

    async def close(self) -> None:
        await asyncio.gather(*(bridge.die() for bridge in self.bridges))


@pytest.fixture
async def fleet(desk: Desk, redis_url: str) -> AsyncIterator[Fleet]:
    fleet = Fleet(desk, redis_url)
    means = {"mean_prompt_tokens": PROMPT, "mean_completion_tokens": COMPLETION}
    await desk.redis.hset(desk.keys.named("counters"), mapping=means)
    for kind in KINDS:
        await fleet.join(kind)
    yield fleet
    assert sum(bridge.fences for bridge in fleet.bridges) == 0
    await fleet.close()


async def settled(fleet: Fleet, condition: Callable[[], Awaitable[bool]]) -> None:
    """Far longer than anybody leaves a job to others."""
    try:
        await until(condition, timeout_s=20)
    except TimeoutError:
        free = {bridge.name: bridge.free for bridge in fleet.bridges if bridge.free > 0}
        pytest.fail(f"{await fleet.desk.queue()} wait, and there is room: {free}")


async def test_no_slot_stays_free_while_a_job_waits(fleet: Fleet) -> None:
    fleet.gate = asyncio.Semaphore(0)
    for round_ in range(40):
        if round_ % 4 == 0:
            await fleet.replace_mortal()  # one ring for all that it held
            await settled(fleet, fleet.no_slot_is_free_in_vain)
        for _ in range(fleet.random.randrange(6)):
            await fleet.enqueue()
        await settled(fleet, fleet.no_slot_is_free_in_vain)
        for _ in range(fleet.random.randrange(6)):
            fleet.gate.release()
        await settled(fleet, fleet.no_slot_is_free_in_vain)
    for _ in range(fleet.enqueued):
        fleet.gate.release()
    await settled(fleet, fleet.all_ended)


async def test_every_job_is_claimed_by_a_call_though_bridges_die(fleet: Fleet) -> None:
    while fleet.enqueued < JOBS:
        await fleet.enqueue()
        if fleet.enqueued % EVERY == 0:
            await fleet.replace_mortal()
        if fleet.random.random() < 0.1:
            await settled(fleet, fleet.all_ended)
        elif fleet.random.random() < 0.3:
            await asyncio.sleep(fleet.random.uniform(0, 0.02))
    await settled(fleet, fleet.all_ended)
    assert fleet.claims <= 4 * JOBS


async def test_nobody_claims_when_there_is_nothing_to_do(fleet: Fleet) -> None:
    for _ in range(30):
        await fleet.enqueue()
    await settled(fleet, fleet.all_ended)
    await asyncio.sleep(0.3)  # what was left to others is looked at for the last time
    before = fleet.claims
    await asyncio.sleep(0.3)
    assert fleet.claims == before
