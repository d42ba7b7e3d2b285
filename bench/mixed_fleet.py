"""Servers of unequal speed: llamaq and HAProxy in front of the same ones, in one run.

    .venv/bin/python bench/mixed_fleet.py [--quick]

A and B have 4 fast slots, C has 4 at a quarter of the speed. They are stand-ins, all else is real.
Both systems get the same requests, by turns: 240 of them, 24 at once, of mixed and of equal sizes;
then random arrivals at half of what the fleet can do. In between C is started again with other
slots in the middle of a backlog, and tells what was at work and what waited inside it.

Columns: makespan, and over work / speed of the fleet; percentiles of the latency, from when a
request was due; part of the requests that C did; part of the slots' time in use; `late`, how much
longer than its speed says a server took at most; and `refill`, what lay between a job's end and the
start of the next one on a fast server while others waited (median).
Random arrivals come `--scale` times as fast, on servers that are so much faster: what a system adds
to a request then weighs that much more than it would. Times are printed as if it weren't so.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import chain, pairwise
from math import ceil
from pathlib import Path
from statistics import median
from typing import Any

from redis import Redis

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.haproxy import haproxy
from bench.standin_server import BYTES_PER_TOKEN, MODEL
from tests.builders import make_token
from tests.processes import (
    LlamaServer,
    answers,
    api,
    bridge,
    free_port,
    program,
    valkey,
    wait_until,
)

SPEEDS = {"A": 1.0, "B": 1.0, "C": 0.25}
SLOTS = 4
RATE, PROMPT_RATE = 100.0, 1000.0  # tokens per second of a fast slot
PROMPT_BYTES = 300
AT_ONCE = 24
WITHIN_IDEAL, P99_PART = 1.05, 0.6  # what the issue wants
SIZES = {"20..180 tokens": (20, 180), "100 tokens each": (100, 100)}


@dataclass(frozen=True, slots=True)
class Job:
    """One request, due `at_s` after the start."""

    number: int
    prompt: str
    tokens: int
    at_s: float = 0

    @property
    def fast_s(self) -> float:
        """How long a fast slot takes."""
        return len(self.prompt) // BYTES_PER_TOKEN / PROMPT_RATE + (self.tokens - 1) / RATE


@dataclass(frozen=True, slots=True)
class Asked:
    """When a request was due and was over, by the monotonic clock; `ok` if it was answered."""

    due_s: float
    ended_s: float
    ok: bool

    @property
    def latency_s(self) -> float:
        """How long its client waited."""
        return self.ended_s - self.due_s


@dataclass(frozen=True, slots=True)
class Served:
    """One request, as a server tells of it; by the same clock. `late_s` are beyond its speed."""

    server: str
    started_s: float
    ended_s: float
    late_s: float


def make_jobs(number: int, sizes: tuple[int, int], seed: int, load: float = 0) -> list[Job]:
    """The same for the same seed. With `load`, a part of all speed, they come at random times."""
    chance = random.Random(f"{seed} {sizes}")  # noqa: S311
    jobs = []
    for index in range(number):
        prompt = f"Question {index} of {seed}: " + "".join(chance.choices("abcde fghi", k=300))
        jobs.append(Job(index, prompt[:PROMPT_BYTES], chance.randint(*sizes)))
    if not load:
        return jobs
    mean_s = (PROMPT_BYTES // BYTES_PER_TOKEN) / PROMPT_RATE + (sum(sizes) / 2 - 1) / RATE
    due_s = 0.0
    for index, job in enumerate(jobs):
        due_s += chance.expovariate(load * fleet_speed() / mean_s)
        jobs[index] = Job(job.number, job.prompt, job.tokens, due_s)
    return jobs


def fleet_speed() -> float:
    """Of all slots, in fast slots."""
    return SLOTS * sum(SPEEDS.values())


class Fleet:
    """The servers, `scale` times as fast as they say."""

    def __init__(self, folder: Path, scale: float = 1) -> None:
        self.scale = scale
        self.servers = {name: LlamaServer(Path(), free_port(), MODEL, SLOTS) for name in SPEEDS}
        self._folder = folder
        self._running: dict[str, ExitStack] = {}

    @contextmanager
    def running(self) -> Iterator[None]:
        """All of them."""
        try:
            for name in self.servers:
                self.start(name, SLOTS)
            yield
        finally:
            for name in self.servers:
                self.stop(name)

    def start(self, name: str, slots: int) -> None:
        """Starts one and waits until it answers."""
        server, rate = self.servers[name], SPEEDS[name] * self.scale
        script = str(Path(__file__).parent / "standin_server.py")
        rates = (str(RATE * rate), str(PROMPT_RATE * rate))
        command = [sys.executable, script, str(server.port), str(slots), *rates]
        stack = self._running[name] = ExitStack()
        stack.enter_context(program(command, self._folder / f"{name}.log"))
        wait_until(lambda: answers(f"{server.url}/health"))

    def stop(self, name: str) -> None:
        """Ends one, with all it is doing."""
        if name in self._running:
            self._running.pop(name).close()

    def restart(self, name: str, slots: int) -> None:
        """Ends one and starts it again with so many slots."""
        self.stop(name)
        self.start(name, slots)

    def account(self, name: str) -> dict[str, Any]:
        """What a server has done since it was started."""
        with urllib.request.urlopen(f"{self.servers[name].url}/account") as answer:  # noqa: S310
            return dict(json.load(answer))

    def served(self, since_s: float) -> list[Served]:
        """What all servers have done since then."""
        found = []
        for name in self.servers:
            speed = SPEEDS[name] * self.scale
            for _, _, started_s, ended_s, prompt, tokens in self.account(name)["ended"]:
                fast_s = prompt / PROMPT_RATE + (tokens - 1) / RATE
                late_s = ended_s - started_s - fast_s / speed
                found.append(Served(name, started_s, ended_s, late_s))
        return [served for served in found if served.started_s >= since_s]


@dataclass(frozen=True, slots=True)
class System:
    """Something in front of the servers; who asks is one of so many `tenants` by turns.

    `redis_url` is empty but for llamaq.
    """

    name: str
    port: int
    redis_url: str = ""
    tenants: int = 1

    def token(self, number: int) -> str:
        """Of the tenant whose turn this is."""
        return make_token(sub=f"tenant-{number % self.tenants}")


@contextmanager
def llamaq(fleet: Fleet, folder: Path, tenants: int) -> Iterator[System]:
    """A real queue, a real API, a bridge beside each server."""
    with ExitStack() as stack:
        redis_url = stack.enter_context(valkey(folder))
        for name, server in fleet.servers.items():
            log = folder / f"bridge-{name}.log"
            stack.enter_context(bridge(redis_url, server, log, worker_name=name))
        _, url = stack.enter_context(api(redis_url, folder / "api.log"))
        wait_until(lambda: answers(f"{url}/ready"))
        yield System("llamaq", int(url.rpartition(":")[2]), redis_url, tenants)


Load = Callable[[System, list[Job]], Coroutine[None, None, list[Asked]]]


async def ask(system: System, token: str, job: Job, due_s: float, stream: bool) -> Asked:
    """Sends one request when it is due, and reads all of its answer."""
    clock = asyncio.get_running_loop().time
    body = {"model": MODEL, "stream": stream, "max_tokens": job.tokens, "seed": job.number}
    content = json.dumps({**body, "messages": [{"role": "user", "content": job.prompt}]}).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    if due_s > clock():
        await asyncio.sleep(due_s - clock())
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", system.port)
        writer.write(head.encode() + content)
        first = end = await reader.read(65536)
        while piece := await reader.read(65536):
            end = (end + piece)[-400:]
        writer.close()
    except OSError:
        return Asked(due_s, clock(), ok=False)
    complete = b"[DONE]" in end if stream else True
    return Asked(due_s, clock(), ok=first.startswith(b"HTTP/1.1 200") and complete)


async def closed_loop(system: System, jobs: Iterable[Job], stream: bool = True) -> list[Asked]:
    """So many clients, each sends the next request when its last one was answered."""
    left, clock = iter(jobs), asyncio.get_running_loop().time

    async def client(token: str) -> list[Asked]:
        return [await ask(system, token, job, clock(), stream) for job in left]

    clients = (client(system.token(number)) for number in range(AT_ONCE))
    return list(chain(*await asyncio.gather(*clients)))


async def at_times(system: System, jobs: Iterable[Job], scale: float) -> list[Asked]:
    """Each request at its time, `scale` times as fast."""
    tokens = [system.token(job.number) for job in jobs]
    start_s = asyncio.get_running_loop().time() + 0.05
    calls = (
        ask(system, token, job, start_s + job.at_s / scale, stream=True)
        for token, job in zip(tokens, jobs, strict=True)
    )
    return list(await asyncio.gather(*calls))


def warm(system: System) -> None:
    """Some requests that all servers get some of; waits until llamaq's bridges know all speeds."""
    asyncio.run(closed_loop(system, make_jobs(AT_ONCE, (40, 40), seed=-1)))
    if system.redis_url:
        redis = Redis.from_url(system.redis_url)
        key = f"llamaq:{{{MODEL}}}:speeds"
        wait_until(lambda: all(b" 0" not in speed for speed in redis.hvals(key)))
    time.sleep(2.5)  # the bridges look at each other's speeds once a second


@dataclass(slots=True)
class Figures:
    """What one or more runs of a system came to, in seconds of the servers' own speed."""

    ideal_s: list[float] = field(default_factory=list)
    makespan_s: list[float] = field(default_factory=list)
    latencies_s: list[float] = field(default_factory=list)
    refills_s: list[float] = field(default_factory=list)
    jobs: dict[str, int] = field(default_factory=dict)
    busy_s: dict[str, float] = field(default_factory=dict)
    late_s: float = 0
    failed: int = 0

    def add(self, jobs: Sequence[Job], asked: Sequence[Asked], served: Sequence[Served]) -> None:
        """Takes one more run."""
        self.ideal_s.append(sum(job.fast_s for job in jobs) / fleet_speed())
        self.makespan_s.append(max(a.ended_s for a in asked) - min(a.due_s for a in asked))
        self.latencies_s += [one.latency_s for one in asked if one.ok]
        self.late_s = max(self.late_s, *(one.late_s for one in served))
        self.failed += sum(not one.ok for one in asked)
        for name in SPEEDS:
            of_it = [one for one in served if one.server == name]
            self.jobs[name] = self.jobs.get(name, 0) + len(of_it)
            self.busy_s[name] = self.busy_s.get(name, 0) + sum(
                one.ended_s - one.started_s for one in of_it
            )
            if SPEEDS[name] == 1:
                self.refills_s += refills_s(of_it, max(one.started_s for one in served))

    def percentile(self, part: float) -> float:
        """Of the latency."""
        ordered = sorted(self.latencies_s)
        return ordered[max(0, ceil(part * len(ordered)) - 1)]

    @property
    def over_ideal(self) -> float:
        """Makespan over ideal."""
        return sum(self.makespan_s) / sum(self.ideal_s)

    def row(self, name: str, scale: float) -> str:
        """A line of the table."""
        wall_s, count = sum(self.makespan_s), sum(self.jobs.values())
        busy = " ".join(f"{spent_s / SLOTS / wall_s:6.2f}" for spent_s in self.busy_s.values())
        waits = " ".join(f"{self.percentile(part) * scale:6.3f}" for part in (0.5, 0.9, 0.99))
        failed = f"  {self.failed} FAILED" if self.failed else ""
        on_c, late = self.jobs["C"] / count, f"{self.late_s * 1e3:5.1f} ms"
        return f"{name:8} {waits}  {on_c:5.3f}  {busy}  {late}{failed}"

    def backlog_row(self) -> str:
        """What else is to be told where some wait all the time."""
        return (
            f"  {sum(self.makespan_s):8.2f} {self.over_ideal:6.3f} "
            f"{median(self.refills_s) * 1e3:6.1f} ms"
        )


HEADER = (
    f"{'':8} {'p50':>6} {'p90':>6} {'p99':>6}  {'on C':>5}  {'A busy':>6} {'B':>6} {'C':>6}  "
    f"{'late':>8}"
)
BACKLOG_HEADER = f"  {'makespan':>8} {'/ideal':>6} {'refill':>9}"


def refills_s(served: Sequence[Served], until_s: float) -> list[float]:
    """How long after each end on a server the next start was; up to when jobs still waited."""
    starts = sorted(one.started_s for one in served)
    ends = sorted(one.ended_s for one in served)
    return [
        start_s - end_s
        for end_s, start_s in zip(ends, starts[SLOTS:], strict=False)
        if end_s < until_s
    ]


def verdict(words: str, value: float, most: float) -> None:
    """Prints whether a line of the issue is reached."""
    print(f"  {'reached' if value <= most else 'MISSED '}  {words}: {value:.3f} (at most {most:g})")


def measure(
    systems: Sequence[System], fleet: Fleet, runs: Sequence[list[Job]], load: Load
) -> Sequence[Figures]:
    """All runs, each with every system in turn; prints the table."""
    found = [Figures() for _ in systems]
    for jobs in runs:
        for system, figures in zip(systems, found, strict=True):
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
