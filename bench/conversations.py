"""Prompt tokens evaluated for conversations: llamaq, sglang-router and HAProxy in one run.

    python3 -m venv /tmp/sglang && /tmp/sglang/bin/pip install sglang-router==0.3.2
    .venv/bin/python bench/conversations.py --sglang-python /tmp/sglang/bin/python

Each system has three fresh llama.cpp servers of four slots, and gets the same conversations of
eight turns. All share a system prompt of 60 tokens; a message has 120 to 240, an
answer 60 to 180. (A system prompt of 240 is over 0.3 of a first request: then cache_aware takes all
conversations for one, and sends all to one server.) Columns: `evaluated`, the prompt tokens
that the servers say they have evaluated; `x`, these over those of cache_aware; `stayed`, the turns
on the worker of the turn before; `busiest`, the part of all turns on the worker that had most;
makespan, and latency of a turn in seconds.

Then the fairness of llamaq: two tenants whose jobs wait get the same service, however large their
jobs are, up to the bound of arXiv 2401.00588.
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import quantiles

from redis.asyncio import Redis

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.gateways import MODEL, Gateway, Opener, haproxy, llamaq, sglang
from bench.talk import Load, Size, Turn, hold_all
from dispatcher.keys import Keys
from dispatcher.tier import Tier
from llamaq.demo_model import write_demo_model
from testing.processes import LlamaServer, free_port

SGLANG = "sglang-router==0.3.2"
SERVERS, SLOTS, CONTEXT = 3, 4, 8192
LOOK_EVERY_S = 0.01
TOKEN = 1000  # cost of one input token
ONE = (("one", Size()),)
LOADS = (
    Load("12 at once, no pause", 12),
    Load("30 at once, no pause", 30),
    Load("30 at once, thinking", 30, think_s=0.5),
    Load("30 at once, longer system prompt", 30, system_words=40),
)
SHORT, LONG = Size((10, 20), (30, 60)), Size((20, 40), (150, 300))
FAIR = Load("fairness", 30, tenants=(("short", SHORT), ("long", LONG), ("short", SHORT)))


class Server(LlamaServer):
    """A server with room for whole conversations."""

    def command(self) -> list[str]:
        """Its command line."""
        return [*super().command(), "--ctx-size", str(CONTEXT * self.slots)]

    def evaluated(self) -> int:
        """Prompt tokens that were not in its caches, so far."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=30) as answer:  # noqa: S310
            lines = answer.read().decode().splitlines()
        name = "llamacpp:prompt_tokens_total "
        return int(next(line.removeprefix(name) for line in lines if line.startswith(name)))


@dataclass(frozen=True, slots=True)
class Result:
    """What a system made of a load."""

    turns: Sequence[Turn]
    evaluated: int

    @property
    def makespan_s(self) -> float:
        """Seconds until the last answer."""
        return max(turn.ended_s for turn in self.turns)

    def stayed(self) -> float:
        """Part of the turns, first ones aside, that went where the turn before had been."""
        at = {(turn.conversation, turn.number): turn.worker for turn in self.turns}
        later = [key for key in at if key[1]]
        return sum(at[talk, number] == at[talk, number - 1] for talk, number in later) / len(later)

    def busiest(self) -> float:
        """Part of the turns on the worker that had most."""
        return Counter(turn.worker for turn in self.turns).most_common(1)[0][1] / len(self.turns)

    def uncounted(self) -> int:
        """Prompt tokens that the answers count as evaluated and the servers don't."""
        return sum(turn.prompt - turn.cached for turn in self.turns) - self.evaluated


@dataclass(frozen=True, slots=True)
class Look:
    """The queue at a time: what those who wait were served."""

    at_s: float
    served: Mapping[str, float]


async def watch(redis_url: str, looks: list[Look]) -> None:
    """Looks at who waits and what they were served, until it is cancelled."""
    keys, started = Keys(MODEL), time.monotonic()
    async with Redis.from_url(redis_url) as redis:
        while True:
            async with redis.pipeline(transaction=True) as both:
                both.zrange(keys.named("waiting"), 0, -1)
                both.zrange(keys.named("served", Tier.DEFAULT), 0, -1, withscores=True)
                waiting, served = await both.execute()
            now_s = time.monotonic() - started
            looks.append(
                Look(now_s, {who.decode(): cost for who, cost in served if who in waiting})
            )
            await asyncio.sleep(LOOK_EVERY_S)


def largest_gap(looks: Sequence[Look], one: str, other: str) -> tuple[float, float]:
    """The most by which one was served more than the other in any time in which both always
    waited; and for how many seconds they did so.
    """
    gap = low = high = seconds = 0.0
    since: float | None = None
    for before, look in pairwise(looks):
        if not {one, other} <= look.served.keys():
            since = None
            continue
        ahead = look.served[one] - look.served[other]
        if since is None:
            since, low, high = look.at_s, ahead, ahead
        else:
            seconds += look.at_s - before.at_s
        low, high = min(low, ahead), max(high, ahead)
        gap = max(gap, high - low)
    return gap, seconds


async def drive(gateway: Gateway, load: Load, seed: int, looks: list[Look]) -> Sequence[Turn]:
    """Holds the conversations of a load, and watches the queue if there is one."""
    watching = asyncio.create_task(watch(gateway.redis_url, looks)) if gateway.redis_url else None
    try:
        return await hold_all(gateway, load, seed)
    finally:
        if watching:
            watching.cancel()


def run(opener: Opener, model: Path, load: Load, seed: int) -> tuple[Result, list[Look]]:
    """Gives one load to one system, with fresh servers; returns what came of it, and the looks."""
    looks: list[Look] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        servers = [Server(model, free_port(), f"worker-{n}", SLOTS) for n in range(SERVERS)]
        for server in servers:
            stack.enter_context(server.running(folder / f"{server.alias}.log"))
        gateway = stack.enter_context(opener(servers, folder))
        before = sum(server.evaluated() for server in servers)
        turns = asyncio.run(drive(gateway, load, seed, looks))
        evaluated = sum(server.evaluated() for server in servers) - before
    return Result(turns, evaluated), looks


def show(name: str, result: Result, baseline: int) -> None:
    """Prints one line of the table."""
    latencies = quantiles((t.ended_s - t.sent_s for t in result.turns), n=100, method="inclusive")
    note = f"  (answers count {result.uncounted():+} tokens)" if result.uncounted() else ""
    print(
        f"  {name:32} {result.evaluated:9} {result.evaluated / baseline:6.2f} "
        f"{result.stayed():7.1%} {result.busiest():8.0%} {result.makespan_s:8.1f} s "
        f"{latencies[49]:6.2f} {latencies[98]:6.2f}{note}",
        flush=True,
    )


def compare(model: Path, load: Load, seed: int, sglang_python: str, only: str) -> None:
    """One load on all systems; cache_aware is first, for the others are measured by it."""
    systems: dict[str, tuple[Opener, Load]] = {
        "sglang cache_aware": (sglang(sglang_python, "cache_aware"), load),
        "sglang round_robin": (sglang(sglang_python, "round_robin"), load),
        "HAProxy leastconn": (haproxy, load),
        "llamaq": (llamaq, load),
        "llamaq, one tenant": (llamaq, replace(load, tenants=ONE)),
    }
    print(f"{load.name:34} evaluated      x  stayed  busiest   makespan    p50    p99")
    baseline = 0
    for name, (opener, given) in systems.items():
        if baseline and only not in name:
            continue
        result, _ = run(opener, model, given, seed)
        baseline = baseline or result.evaluated
        show(name, result, baseline)


def show_fairness(model: Path, seed: int) -> None:
    """Two tenants with jobs of different sizes, many conversations each, on llamaq."""
    result, looks = run(llamaq, model, FAIR, seed)
    gap, seconds = largest_gap(looks, "short", "long")
    print(f"{FAIR.name}: stayed {result.stayed():.1%}; cost served, in input tokens, by time")
    for quarter in (1, 2, 3, 4):
        until_s = seconds * quarter / 4
        served = Counter[str]()
        for turn in result.turns:
            served[turn.tenant] += turn.cost if turn.ended_s <= until_s else 0
        parts = ", ".join(f"{who} {cost / TOKEN:.0f}" for who, cost in sorted(served.items()))
        print(f"  {until_s:5.1f} s: {parts}")
    bound = 2 * SERVERS * SLOTS * max(turn.cost for turn in result.turns)
    print(
        f"  both always wait for {seconds:.1f} s: the largest gap is {gap / TOKEN:.0f}, "
        f"the bound 2 x slots x largest job {bound / TOKEN:.0f}"
    )


def main() -> None:
    """Prints all tables."""
    options = argparse.ArgumentParser()
    options.add_argument("--sglang-python", required=True, help="a Python with sglang-router 0.3.2")
    options.add_argument(
        "--loads", nargs="*", default=[""], help="only those with this in the name"
    )
    options.add_argument("--system", default="", help="besides cache_aware only these systems")
    options.add_argument("--seed", type=int, default=1)
    asked = options.parse_args()
    if subprocess.call([asked.sglang_python, "-c", "import sglang_router"]):
        options.error(f"pip install {SGLANG}, for {asked.sglang_python}")
    with tempfile.TemporaryDirectory() as folder:
        write_demo_model(model := Path(folder) / "tiny.gguf", stop_rate=0)
        for load in LOADS:
            if any(part in load.name for part in asked.loads):
                compare(model, load, asked.seed, asked.sglang_python, asked.system)
        if any(part in FAIR.name for part in asked.loads):
            show_fairness(model, asked.seed)


if __name__ == "__main__":
    main()
