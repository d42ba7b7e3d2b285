"""Counts what the queue takes where it is long, and how often bridges claim in vain."""

import asyncio
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from statistics import median

from redis.asyncio import Redis

from bench.counts.parts import calls_of
from dispatcher.arguments import QueuedJob
from dispatcher.commands import Bounds
from dispatcher.connection import open_redis
from dispatcher.constants import MOST_CLAIMED
from dispatcher.job import Claim
from testing.desk import Desk
from testing.processes import valkey
from testing.queued_jobs import queued_job
from testing.toy_bridge import Log, Sort, ToyBridge
from testing.waiting import until

ALONE, LONG = "a job of one client, three idle workers of different speeds", "a job, 1,000 waiting"
JOBS, WAITING, TENANTS, SLOTS = 20, 1000, 100, 4
SPEEDS = (4000, 800), (2000, 400), (1000, 200)  # tokens per second, of prompts and of answers
BOUNDS = Bounds(3, 2, 2 * WAITING, 2**30, 0, 0)
BODY = b"x" * 1000


async def count_queue() -> dict[str, dict[str, float]]:
    """What one job takes in each of these states."""
    async with new_desk() as (desk, url):
        alone = await _count_alone(desk, url)
    async with new_desk() as (desk, _):
        return {ALONE: alone, LONG: await _count_long(desk)}


@asynccontextmanager
async def new_desk() -> AsyncIterator[tuple[Desk, str]]:
    """The queue of a server of its own, and the URL of that."""
    with tempfile.TemporaryDirectory(prefix="llamaq-queue-") as name, valkey(Path(name)) as url:
        redis = open_redis(url)
        desk = Desk(redis)
        await desk.heartbeat("a")
        yield desk, url
        await redis.aclose()


async def _count_alone(desk: Desk, url: str) -> dict[str, float]:
    """Bridges that wait and claim as the real ones do; each job comes when the last one is over."""
    ended = asyncio.Event()
    log = Log(freed=lambda *_: ended.set())
    bridges = [
        ToyBridge(f"w{n}", Sort(SLOTS, *tps), desk.keys, _clients(url), _at_once, log)
        for n, tps in enumerate(SPEEDS)
    ]
    for bridge in bridges:
        await bridge.open()
    claims = []
    for number in range(JOBS):
        before = sum(bridge.session.claims for bridge in bridges)
        ended.clear()
        await desk.enqueue(f"j{number}")
        await ended.wait()
        await _until_quiet(desk.redis, len(bridges))
        claims.append(sum(bridge.session.claims for bridge in bridges) - before)
    for bridge in bridges:
        await bridge.die()
    return {"claims": median(claims[1:])}  # the first one finds bridges that have just joined


def _clients(url: str) -> tuple[Redis, Redis]:
    return open_redis(url), open_redis(url)


async def _at_once(_: ToyBridge, __: Claim) -> None:
    """A job that takes no time."""


async def _until_quiet(redis: Redis, bridges: int) -> None:
    """Waits until all bridges wait."""

    async def all_wait() -> bool:
        return bool((await redis.info("clients"))["blocked_clients"] == bridges)

    await until(all_wait)


async def _count_long(desk: Desk) -> dict[str, float]:
    numbers = count()
    await join(desk, "w", SLOTS)
    await fill(desk, numbers, WAITING)
    _, attempt_ids = await desk.claim("w")
    rounds = []
    for _ in range(JOBS):
        before = await calls_of(desk.redis)
        await desk.commands.enqueue("a", BOUNDS, make_jobs(numbers, 1))
        await desk.emit(attempt_ids[0])
        answer = await desk.finish_raw(attempt_ids.pop(0))
        attempt_ids += [row[0].decode() for row in answer[3:]]
        rounds.append(await calls_of(desk.redis) - before)
    return _typical(rounds)


def _typical(rounds: list[Counter[str]]) -> dict[str, float]:
    return {name: median(each[name] for each in rounds) for name in ("EVALSHA", "redis.call")}


async def join(desk: Desk, worker: str, slots: int) -> None:
    """A worker that is measured."""
    await desk.join(worker, slots, process="p", prompt_tps=1000, decode_tps=100)


def make_jobs(numbers: "count[int]", most: int) -> list[QueuedJob]:
    """New jobs, of all tenants in turn."""
    names = [(n, f"{n:032}") for n, _ in zip(numbers, range(most), strict=False)]
    return [queued_job(name, tenant=f"t{n % TENANTS}", body=BODY) for n, name in names]


async def fill(desk: Desk, numbers: "count[int]", jobs: int) -> None:
    """Adds jobs to the queue."""
    for first in range(0, jobs, MOST_CLAIMED):
        rows = make_jobs(numbers, min(MOST_CLAIMED, jobs - first))
        await desk.commands.enqueue("a", BOUNDS, rows)
