"""Redis CPU per claim, however long the queue, however many tenants, however large the bodies.

    .venv/bin/python bench/claim_cost.py [WORD]     only the rows with this word in their names

Prints microseconds of CPU of Redis' main thread per call, as the kernel counts them. This includes
the work on the connection; `PING` is a call that does nothing else. In brackets: the time of the
script by Redis' own clock. A fleet of full bridges claims and finishes in rounds, and one job is
queued for each one taken. The figures are lower quartiles of the rounds, since other work on the
machine makes rounds dearer. A claim of several jobs is given per job. An emit looks at no queue:
where a long queue makes it dearer, the reason is memory that is in no cache. So the last lines also
give the claims as multiples of the emits of their rows.
"""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count, cycle, islice
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.redis_cpu import Meter, Spent, typical
from dispatcher.connection import open_redis
from dispatcher.patience import EAGER, Patience
from testing.desk import Desk
from testing.processes import valkey

FLEET = 50
CALLS = 400
JOB = "0123456789abcdef-"
AHEAD_MS = 40_000  # jobs that come from the future are left to others until then
PROMPT, COMPLETION = 500, 200
COST = PROMPT * 1000 + COMPLETION * 2000
PATIENT = Patience(1000, 1000, 1, 1, ("swift",))


@dataclass(frozen=True, slots=True)
class Row:
    """The waiting jobs and their tenants; a claim takes up to `at_once`.

    The jobs need `classes` of their workers, by turns, and prefer the worker named: `{}` stands for
    each of the fleet by turns. With `left`, they are left to others: a claim takes nothing.
    """

    name: str
    queued: int
    tenants: int = 1
    at_once: int = 1
    body: int = 1000
    users: int = 1
    tiers: tuple[str, ...] = ("default",)
    classes: tuple[str, ...] = ("any",)
    prefers: str = ""
    patience: Patience = EAGER
    left: bool = False


TABLE = [
    Row("table", queued, tenants, at_once)
    for at_once in (1, 4)
    for queued in (10, 1000, 100_000)
    for tenants in (1, 100, 10_000)
] + [Row("table, bodies of 5 MB", 10, tenants, body=5_000_000) for tenants in (1, 100)]
EXTRAS = [
    Row("10 users per tenant", 1000, 100, users=10),
    Row("three tiers", 1000, 100, tiers=("priority", "default", "flex")),
    Row("4 classes, all may take", 1000, 100, classes=("any", "vision", "context>99", "build=b")),
    Row("3 classes, may take 1", 1000, 100, classes=("any", "audio", "any", "context>9999")),
    Row("prefer the one that claims", 1000, 100, prefers="w{}"),
    Row("prefer a full one", 1000, 100, prefers="full"),
    Row("left: prefer another", 1000, 100, prefers="swift", left=True),
    Row("left to a faster one", 1000, 100, patience=PATIENT, left=True),
]


class Office:
    """A queue in the state of a row, and a fleet that works on it."""

    def __init__(self, redis: Redis, row: Row) -> None:
        self.row = row
        self.redis = redis
        self.desk = Desk(redis)
        self.ahead = Desk(redis)
        self.ahead.offset_ms = 0
        if row.prefers and row.left:
            self.ahead.later(AHEAD_MS)
        self._numbers = count()
        self._workers = cycle(range(FLEET))
        self._last = ""
        self.held: list[tuple[str, str]] = []

    async def open(self) -> None:
        """The fleet joins, and the queue fills."""
        await self.desk.heartbeat("a")
        about: dict[str, Any] = {
            "process": "p",
            "modalities": "vision",
            "context": 4096,
            "fingerprint": "b",
        }
        for number in range(FLEET):
            await self.desk.join(f"w{number}", self.row.at_once, **about)
        for name, slots in (("swift", 1), ("full", 0)):
            await self.desk.join(name, slots, **about)
        for name in ("swift", "full", *(f"w{number}" for number in range(FLEET))):
            await self.redis.set(self.desk.keys.named("prefix", name), f"{name} {PROMPT} 0 p")
        await self._fill()

    async def _fill(self) -> None:
        at_once = max(1, min(500, 10**7 // self.row.body))
        for begin in range(0, self.row.queued, at_once):
            number = min(at_once, self.row.queued - begin)
            await asyncio.gather(*(self.enqueue() for _ in range(number)))

    async def enqueue(self) -> None:
        """One more job."""
        row, number = self.row, next(self._numbers)
        preferred = row.prefers.format(number % FLEET)
        self._last = f"{JOB}{number}"
        await self.ahead.enqueue(
            self._last,
            tenant=f"tenant-{number % row.tenants}",
            user=f"user-{number // row.tenants % row.users}" if row.users > 1 else "-",
            tier=row.tiers[number % len(row.tiers)],
            class_=row.classes[number % len(row.classes)],
            estimate=COST,
            tokens=(PROMPT, COMPLETION),
            wait_ms=600_000,
            deadline_ms=900_000,
            body=b"x" * row.body,
            bounds=(10**9, 10**12),
            prefixes=(preferred,) if preferred else (),
        )

    async def claim(self) -> None:
        """The next of the fleet fills its slots."""
        worker = f"w{next(self._workers)}"
        _, attempt_ids = await self.desk.claim(worker, self.row.at_once, patience=self.row.patience)
        if len(attempt_ids) != (0 if self.row.left else self.row.at_once):
            raise RuntimeError(f"{self.row}: {len(attempt_ids)} jobs taken")
        self.held += [(worker, attempt_id) for attempt_id in attempt_ids]

    async def finish(self) -> None:
        """The oldest job that runs ends."""
        worker, attempt_id = self.held.pop(0)
        await self.desk.finish(attempt_id, worker, cost=COST)

    async def follow(self) -> None:
        """The oldest job that runs ends, and its slot gets the next one."""
        worker, attempt_id = self.held.pop(0)
        answer = await self.desk.finish_raw(
            attempt_id, worker, cost=COST, patience=self.row.patience
        )
        self.held += [(worker, job[0].decode()) for job in answer[3:]]

    async def others(self, kind: str) -> None:
        """A call about the oldest running job."""
        worker, attempt_id = self.held[0]
        if kind == "emit":
            await self.desk.emit(attempt_id, worker=worker, payload=b"x" * 200, most_unread=2**30)
        elif kind == "renew":
            await self.desk.renew(attempt_id, worker=worker, slots=self.row.at_once, cost=1)
        else:
            await self.desk.commands.position([self._last])


def calls(make: Callable[[], Awaitable[object]], number: int) -> Iterable[Awaitable[object]]:
    """Makes calls one after the other."""
    return (make() for _ in range(number))


@asynccontextmanager
async def fresh(row: Row) -> AsyncIterator[tuple[Office, Meter, float]]:
    """A new server with the queue of a row; and the kilobytes that a queued job takes."""
    with tempfile.TemporaryDirectory() as folder, valkey(Path(folder)) as url:
        redis = open_redis(url)
        info = await redis.info()
        office = Office(redis, row)
        await office.open()
        used = (await redis.info("memory"))["used_memory"] - info["used_memory"]
        yield office, Meter(redis, info["process_id"]), used / row.queued / 1000
        await redis.aclose()


async def work(office: Office, meter: Meter) -> None:
    """Claims, finishes and enqueues in rounds that hardly change the queue's length."""
    row = office.row
    claims = max(1, min(FLEET, row.queued // 2 // row.at_once))
    for round_ in range(max(2, CALLS // claims)):
        kept = meter if round_ else Meter(meter.redis, meter.pid)  # the first one loads scripts
        await kept.measure("claim", calls(office.claim, claims), row.at_once)
        taken = len(office.held)
        if row.left:
            continue
        for kind in ("emit", "renew", "position"):
            await kept.measure(kind, calls(partial(office.others, kind), claims))
        await kept.measure("follow", calls(office.follow, taken))
        await kept.measure("enqueue", calls(office.enqueue, taken))
        await kept.measure("finish", calls(office.finish, taken))
        await kept.measure("enqueue", calls(office.enqueue, taken))


async def measure(row: Row) -> tuple[float, float]:
    """Prints a line; returns the microseconds of a claim and of an emit (0: none was made)."""
    async with fresh(row) as (office, meter, kilobytes):
        await work(office, meter)
    kinds = ("claim", "follow", "finish", "enqueue", "emit", "renew", "position")
    figures = "  ".join(str(meter.spent.get(kind, Spent())) for kind in kinds)
    jobs = f"{row.queued:7} {row.tenants:6} {row.at_once:2}"
    memory = f"{kilobytes:6.2f}" if row.queued >= 1000 else "     -"
    print(f"{row.name:26.26} {jobs}  {figures}  {memory}", flush=True)
    return typical(meter.spent["claim"].cpu), typical(meter.spent.get("emit", Spent()).cpu)


async def ping() -> None:
    """Prints what a call costs that does nothing."""
    async with fresh(Row("ping", 1)) as (office, meter, _):
        for _ in range(20):
            await meter.measure("ping", calls(office.redis.ping, 100))
    print(f"PING {typical(meter.spent['ping'].cpu):.0f}")


async def main(word: str) -> None:
    """Prints all rows, and by how much the claims of the table differ."""
    await ping()
    heads = ("claim/job", "finish+claim", "finish", "enqueue", "emit", "renew", "position")
    print(f"{'µs per call':26} {'queued':>7} {'tenants':>6} n  ", end="")
    print("  ".join(f"{head:>12}" for head in heads), " kB/job")
    rows = [row for row in TABLE + EXTRAS if word in row.name]
    found = {row: await measure(row) for row in rows}
    for at_once in (1, 4):
        of_table = [cost for row, cost in found.items() if row in TABLE and row.at_once == at_once]
        if of_table:
            claims, ratios = [us for us, _ in of_table], [us / emit for us, emit in of_table]
            print(f"{at_once} per claim: {min(claims):.0f} to {max(claims):.0f} µs, ", end="")
            print(f"{min(ratios):.1f} to {max(ratios):.1f} emits")


if __name__ == "__main__":
    asyncio.run(main(next(islice(sys.argv, 1, None), "")))
