"""How long jobs wait while a willing slot is free, and how often bridges claim.

    .venv/bin/python bench/wake_ups.py [JOBS]

Bridges in one process wait and claim as the real ones do (`worker_bridge/calls.py`); their jobs
only take time. Some bridges are mostly idle, some small and mostly full. Some slow ones leave jobs
to faster ones, some can see, and some are not measured yet. Once a second a bridge dies without a
word. Every third job prefers the worker that had its conversation.

bench/lateness.py defines late. The last line tells how late this process' own timers are: no job
can be less late than that, since all bridges live in it.
"""

import asyncio
import sys
import tempfile
import time
from itertools import count
from pathlib import Path
from random import Random
from statistics import quantiles

import uvloop
from redis.asyncio import Redis

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.lateness import Book, Replay, Waited
from dispatcher.connection import open_redis
from dispatcher.job import Claim
from dispatcher.tasks import cancel
from testing.desk import Desk
from testing.processes import valkey
from testing.toy_bridge import LEASE_S, Log, Sort, ToyBridge

JOBS = 10_000
IDLE_S = 5.0
LAG_S = 0.01
PROMPT, COMPLETION = 200, 16
FAST, BRISK, SLOW = (4000, 320), (1400, 110), (1000, 80)  # 0.1, 0.29 and 0.4 s a job
FLEET = (
    *(Sort(4, *FAST),) * 4,
    *(Sort(1, *FAST),) * 4,
    *(Sort(2, *SLOW),) * 2,
    Sort(2, *BRISK),
    *(Sort(2, *FAST, modalities="vision"),) * 2,
    Sort(2),
)
MORTAL = Sort(2, *FAST)
RANDOM = Random(3)  # noqa: S311


class Fleet:
    """The bridges and the one who enqueues."""

    def __init__(self, url: str, jobs: int) -> None:
        self.desk = Desk(open_redis(url))
        self.asking = open_redis(url)
        self.book = Book()
        self.all_claimed = asyncio.Event()
        self._unclaimed = jobs
        self.bridges: list[ToyBridge] = []
        self._url = url
        self._numbers = count()
        self._looks: set[asyncio.Task[None]] = set()

    async def join(self, sort: Sort) -> ToyBridge:
        """One more bridge."""
        clients = open_redis(self._url), open_redis(self._url)
        log = Log(self._claimed, lambda b, _: self.book.note("freed", b.name), self._became)
        bridge = ToyBridge(f"w{next(self._numbers)}", sort, self.desk.keys, clients, work, log)
        self.book.note("joined", bridge.name, sort)
        self.bridges.append(bridge)
        await bridge.open()
        return bridge

    def _became(self, bridge: ToyBridge) -> None:
        if not bridge.alive:
            self.book.note("died", bridge.name)
            for claim in bridge.held.values():
                self.book.jobs[claim.job].touched = True
        else:
            self.book.note("patience", bridge.name, bridge.session.patience)

    def _claimed(self, bridge: ToyBridge, claim: Claim) -> None:
        self.book.note("claimed", bridge.name, claim.job)
        job = self.book.jobs[claim.job]
        if not job.until:
            job.until = time.time()
            self._unclaimed -= 1
        if not self._unclaimed:
            self.all_claimed.set()
        self._looks.add(look := asyncio.create_task(self._look(claim.job, job)))
        look.add_done_callback(self._looks.discard)

    async def _look(self, name: str, job: Waited) -> None:
        """What only Redis knows."""
        key, about = self.desk.keys.named("job", name), ("prefers", "left_since_ms", "attempts")
        prefers, left_since, attempts = await self.asking.hmget(key, about)
        job.touched |= int(attempts or 1) > 1
        job.prefers = job.prefers or (prefers or b"").decode()
        job.left_since = job.left_since or (int(left_since) / 1000 if left_since else None)

    async def enqueue(self, number: int) -> None:
        """One more job."""
        sees = number % 10 == 0
        job = Waited(
            "vision" if sees else "any",
            RANDOM.randrange(1, 2 * PROMPT),
            RANDOM.randrange(2 * COMPLETION),
            time.time(),
        )
        self.book.jobs[f"j{number}"] = job
        self.book.note("enqueued", f"j{number}")
        await self.desk.enqueue(
            f"j{number}",
            tenant=f"t{number % 7}",
            class_=job.class_,
            estimate=1000,
            tokens=(job.prompt, job.completion),
            attempts=99,
            prefixes=(f"talk-{number % 50}",) if number % 3 == 0 else (),
        )

    @property
    def claims(self) -> int:
        """Of all bridges, the dead ones too."""
        return sum(bridge.session.claims for bridge in self.bridges)

    async def replace_mortals(self) -> None:
        """Once a second one dies and another one joins."""
        mortals = [await self.join(MORTAL), await self.join(MORTAL)]
        while True:
            await asyncio.sleep(1)
            await mortals.pop(0).die()
            mortals.append(await self.join(MORTAL))

    async def keep(self) -> None:
        """What APIs do: their heartbeat, and the reaper's tick."""
        while True:
            await self.desk.heartbeat("a")
            await self.desk.commands.reap(int(LEASE_S * 1000), 100)
            await asyncio.sleep(1)

    async def close(self) -> None:
        """Ends all bridges and connections."""
        await asyncio.gather(*(bridge.die() for bridge in self.bridges), *self._looks)
        await self.desk.redis.aclose()
        await self.asking.aclose()


async def work(bridge: ToyBridge, claim: Claim) -> None:
    """A job takes as long as its bridge's speed says, more or less."""
    prompt_tps = bridge.sort.prompt_tps or FAST[0]
    decode_tps = bridge.sort.decode_tps or FAST[1]
    mean_s = PROMPT / prompt_tps + COMPLETION / decode_tps
    await asyncio.sleep(RANDOM.uniform(0.2, 1.8) * mean_s)


async def load(fleet: Fleet, jobs: int) -> None:
    """By turns, in seconds of each, more and less than the fleet can do; until all are claimed."""
    for number in range(jobs):
        busy = int(time.time()) % 4 == 0
        await asyncio.sleep(RANDOM.expovariate(500 if busy else 130))
        await fleet.enqueue(number)
    async with asyncio.timeout(60):
        await fleet.all_claimed.wait()


async def watch_timers(lags: list[float]) -> None:
    """Notes for ever by how many milliseconds a timer is late."""
    while True:
        due = time.perf_counter() + LAG_S
        await asyncio.sleep(LAG_S)
        lags.append((time.perf_counter() - due) * 1000)


async def cpu_s(redis: Redis) -> float:
    """What Redis has used so far."""
    info = await redis.info("cpu")
    return float(info["used_cpu_user"] + info["used_cpu_sys"])


def show(name: str, late: list[float]) -> None:
    """Prints some of these milliseconds."""
    if len(late) > 1:
        cuts = quantiles(late, n=1000, method="inclusive")
        figures = f"p50 {cuts[499]:6.1f}  p99 {cuts[989]:6.1f}  p99.9 {cuts[998]:6.1f}"
        print(f"{name:42} {len(late):6}  {figures}  max {max(late):6.1f} ms")


def show_jobs(jobs: list[Waited]) -> None:
    """Prints how late they were."""
    whole = [job for job in jobs if not job.touched]
    kinds = {
        "jobs in all": jobs,
        "jobs that no dead bridge had a part in": whole,
        "… that only two bridges can take": [job for job in whole if job.class_ == "vision"],
        "… that prefer a bridge": [job for job in whole if job.prefers],
        "… that were left to faster bridges": [job for job in whole if job.left_since],
    }
    for name, those in kinds.items():
        show(name, [job.wake_up_s * 1000 for job in those])
        show("    all pieces together", [job.late_s * 1000 for job in those])


async def idle(fleet: Fleet) -> None:
    """Prints what bridges cost that have nothing to do."""
    await asyncio.sleep(1)
    claims, cpu = fleet.claims, await cpu_s(fleet.asking)
    await asyncio.sleep(IDLE_S)
    rate = (fleet.claims - claims) / IDLE_S / len(FLEET)
    used = (await cpu_s(fleet.asking) - cpu) / IDLE_S
    print(f"idle: {rate:.2f} claims/s per bridge, {used:.1%} of a core of Redis")


async def busy(fleet: Fleet, jobs: int) -> None:
    """Prints what jobs cost."""
    claims, cpu, started = fleet.claims, await cpu_s(fleet.asking), time.time()
    await load(fleet, jobs)
    passed, used = time.time() - started, await cpu_s(fleet.asking) - cpu
    each = (
        f"{(fleet.claims - claims) / jobs:.2f} claims per job, {used / jobs * 1e6:.0f} µs of Redis"
    )
    print(f"{jobs / passed:.0f} jobs/s: {each}")


async def main(jobs: int) -> None:
    """Prints all figures."""
    lags: list[float] = []
    with tempfile.TemporaryDirectory() as folder, valkey(Path(folder)) as url:
        fleet = Fleet(url, jobs)
        await fleet.desk.heartbeat("a")
        for sort in FLEET:
            await fleet.join(sort)
        tasks = [asyncio.create_task(fleet.keep())]
        await idle(fleet)
        tasks += map(asyncio.create_task, (fleet.replace_mortals(), watch_timers(lags)))
        await busy(fleet, jobs)
        await cancel(tasks)
        await fleet.close()
    Replay(fleet.book).run()
    show_jobs(list(fleet.book.jobs.values()))
    show("timers of this process", lags)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else JOBS))
