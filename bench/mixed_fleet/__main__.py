"""Servers of unequal speed: llamaq and HAProxy in front of the same ones, in one run.

    .venv/bin/python -m bench.mixed_fleet [--quick]

A and B have 4 fast slots, C has 4 at a quarter of the speed. They are stand-ins, all else is real.
Both systems get the same requests, by turns: 240 of them, 24 at once, of mixed and of equal sizes;
then random arrivals at half of what the fleet can do. In between C is started again with other
slots in the middle of a backlog, and tells what was at work and what waited inside it.

Columns: percentiles of the latency, from when a request was due; part of the requests that C did;
part of the slots' time in use; `late`, how much longer than its speed says a server took at most;
makespan, and over work / speed of the fleet, of all seeds and of the worst; and `refill`, what lay
between a job's end and the start of the next one on a fast server while others waited (median).
Random arrivals come `--scale` times as fast, on servers that are so much faster: what a system adds
to a request then weighs that much more than it would. Times are printed as if it weren't so.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from statistics import median

from redis import Redis

from bench.haproxy import haproxy
from bench.mixed_fleet.figures import BACKLOG_HEADER, HEADER, Figures, verdict
from bench.mixed_fleet.fleet import Fleet, System, llamaq
from bench.mixed_fleet.jobs import SIZES, SLOTS, Job, fleet_speed, make_jobs
from bench.mixed_fleet.load import AT_ONCE, Asked, ask, at_times, closed_loop
from bench.standin_server import MODEL
from testing.waiting import wait_until

WITHIN_IDEAL, P99_PART = 1.05, 0.6  # what the issue wants
Load = Callable[[System, list[Job]], Coroutine[None, None, list[Asked]]]


def warm(system: System) -> None:
    """Some requests that all servers get some of; waits until llamaq's bridges know all speeds."""
    asyncio.run(closed_loop(system, make_jobs(AT_ONCE, (40, 40), seed=-1)))
    if system.redis_url:
        redis = Redis.from_url(system.redis_url)
        key = f"llamaq:{{{MODEL}}}:speeds"
        wait_until(lambda: all(b" 0" not in speed for speed in redis.hvals(key)))
    time.sleep(2.5)  # the bridges look at each other's speeds once a second


def wait_for_bridges(system: System) -> None:
    """Until llamaq's bridges see that what HAProxy sent is no longer in the servers' slots."""
    if not system.redis_url:
        return
    redis = Redis.from_url(system.redis_url)
    prefix = f"llamaq:{{{MODEL}}}:"
    workers = [name.decode() for name in redis.zrange(f"{prefix}workers", 0, -1)]
    wait_until(
        lambda: all(redis.hget(f"{prefix}worker:{name}", "foreign") == b"0" for name in workers)
    )


def measure(
    systems: Sequence[System], fleet: Fleet, runs: Sequence[list[Job]], load: Load
) -> Sequence[Figures]:
    """All runs, each with every system in turn; prints the table."""
    found = [Figures() for _ in systems]
    for jobs in runs:
        for system, figures in zip(systems, found, strict=True):
            wait_for_bridges(system)
            started_s = time.monotonic()
            asked = asyncio.run(load(system, jobs))
            figures.add(jobs, asked, fleet.served(started_s))
    is_backlog = load is closed_loop
    print(HEADER + (BACKLOG_HEADER if is_backlog else ""))
    for system, figures in zip(systems, found, strict=True):
        more = figures.backlog_row() if is_backlog else ""
        print(figures.row(system.name, fleet.scale) + more, flush=True)
    return found


def backlog(systems: Sequence[System], fleet: Fleet, number: int, seeds: int) -> None:
    """24 at once, until all are done."""
    for name, sizes in SIZES.items():
        runs = [make_jobs(number, sizes, seed) for seed in range(seeds)]
        print(f"\nBacklog: {number} requests of {name}, {AT_ONCE} at once, {seeds} seed(s)")
        ours, theirs = measure(systems, fleet, runs, closed_loop)
        verdict("makespan / ideal", ours.over_ideal, WITHIN_IDEAL)
        verdict("p99 / HAProxy's", ours.percentile(0.99) / theirs.percentile(0.99), 1)


def half_load(systems: Sequence[System], fleet: Fleet, number: int, seeds: int) -> None:
    """Random arrivals at half of what the fleet can do."""

    def load(system: System, jobs: Sequence[Job]) -> Coroutine[None, None, list[Asked]]:
        return at_times(system, jobs, fleet.scale)

    added = [asyncio.run(added_ms(system, fleet)) for system in systems]
    print(f"\nOn an idle fleet llamaq adds {added[0]:.1f} ms to a request, ", end="")
    print(f"HAProxy {added[1]:.1f} ms: here {fleet.scale:g} times as much.")
    for name, sizes in SIZES.items():
        runs = [make_jobs(number, sizes, seed, load=0.5) for seed in range(seeds)]
        print(f"\nHalf load: {number} requests of {name}, {seeds} seed(s) pooled", end="")
        print(f", {fleet.scale:g} times as fast")
        ours, theirs = measure(systems, fleet, runs, load)
        verdict("p50 / HAProxy's", ours.percentile(0.5) / theirs.percentile(0.5), 1)
        verdict("p99 / HAProxy's", ours.percentile(0.99) / theirs.percentile(0.99), P99_PART)


async def added_ms(system: System, fleet: Fleet) -> float:
    """By how much a request takes longer than its server worked at it, with nothing else to do."""
    token, clock, since_s = system.token(0), asyncio.get_running_loop().time, time.monotonic()
    jobs = make_jobs(40, (10, 10), seed=-2)
    asked = [await ask(system, token, job, clock(), stream=True) for job in jobs]
    worked = [one.ended_s - one.started_s for one in await asyncio.to_thread(fleet.served, since_s)]
    return 1000 * (median(one.latency_s for one in asked) - median(worked))


async def restarts(system: System, fleet: Fleet, number: int) -> list[Asked]:
    """C is started again with 2 slots, then with 6, while all are busy and others wait."""
    jobs = make_jobs(number, SIZES["20..180 tokens"], seed=99)
    phase_s = sum(job.fast_s for job in jobs) / fleet_speed() / 4
    # A request that is shown to nobody yet can be tried again when its server is gone.
    load = asyncio.create_task(closed_loop(system, jobs, stream=False))
    for before, after in pairwise((SLOTS, 2, 6)):
        await asyncio.sleep(phase_s)
        await asyncio.to_thread(tell, fleet, before)
        await asyncio.to_thread(fleet.restart, "C", after)
    asked = await load
    tell(fleet, 6)
    return asked


def tell(fleet: Fleet, slots: int) -> None:
    """Prints what C itself has counted."""
    account = fleet.account("C")
    print(
        f"  C with {slots} slots: {len(account['ended'])} done, at most {account['most_busy']} "
        f"at work, at most {account['most_waiting']} waited inside",
        flush=True,
    )


@contextmanager
def opened(scale: float, tenants: int) -> Iterator[tuple[Fleet, list[System]]]:
    """The fleet with both systems in front of it."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        fleet = Fleet(folder, scale)
        stack.enter_context(fleet.running())
        port = stack.enter_context(haproxy(list(fleet.servers.values()), folder))
        systems = [stack.enter_context(llamaq(fleet, folder, tenants)), System("HAProxy", port)]
        for system in systems:
            warm(system)
        yield fleet, systems


def run(chosen: argparse.Namespace) -> None:
    """Prints everything."""
    if {"backlog", "restarts"} & set(chosen.only):
        with opened(1, chosen.tenants) as (fleet, systems):
            if "backlog" in chosen.only:
                backlog(systems, fleet, 240, 1 if chosen.quick else chosen.seeds)
            for system in systems if "restarts" in chosen.only else ():
                print(f"\n{system.name}: C is started again with 2 slots, then with 6")
                asked = asyncio.run(restarts(system, fleet, 240))
                print(f"  {sum(not one.ok for one in asked)} of {len(asked)} requests failed")
                fleet.restart("C", SLOTS)
    if "half" in chosen.only:
        with opened(chosen.scale, chosen.tenants) as (fleet, systems):
            half_load(systems, fleet, 160, 3 if chosen.quick else chosen.half_seeds)


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="1 seed of a backlog, 3 at half load")
    parser.add_argument("--scale", type=float, default=4, help="how much faster at half load")
    parser.add_argument("--seeds", type=int, default=3, help="of each backlog")
    parser.add_argument("--half-seeds", type=int, default=10, help="at half load")
    parser.add_argument("--tenants", type=int, default=1, help="who send the requests by turns")
    parts = ["backlog", "restarts", "half"]
    parser.add_argument("--only", nargs="+", choices=parts, default=parts)
    run(parser.parse_args())


if __name__ == "__main__":
    main()
