"""A good client alone, and beside each attack."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

from bench.cpu_time import busy_s
from tests.hostile.attacker import attacking
from tests.hostile.attacks import TENANT
from tests.hostile.good import Seen, ask_for
from tests.hostile.stage import SERVERS, SLOTS, Stage
from tests.overload.finding import Finding

P50_RATIO = 1.2
MAX_RATIO = 3.0
_ALONE_S = 60.0
_WARM_S = 4.0
_PAUSE_S = 3.0
_PARTS = {"bug": 2, "users": 7}
"""Of the time; of others 1. In ten minutes some 100,000 end users come."""

Say = Callable[[str], None]
Findings = list[Finding]


@dataclass(frozen=True, slots=True)
class Beside:
    """What came of an attack."""

    attack: str
    seen: Seen
    crashes: int
    opened: int
    load: float

    def findings(self, alone: Seen) -> Findings:
        """The verdict on it."""
        name = self.attack
        return [
            Finding(
                f"{name}: p50, times that alone", self.seen.p50_s / alone.p50_s, most=P50_RATIO
            ),
            Finding(
                f"{name}: longest, times that alone", self.seen.max_s / alone.max_s, most=MAX_RATIO
            ),
            Finding(f"{name}: the good one's failures", self.seen.failed.total(), most=0),
            Finding(f"{name}: ... of them 429 or 503", self.seen.refused, most=0),
            *self._of_servers(),
        ]

    def _of_servers(self) -> Findings:
        if self.attack == "bug":
            return [Finding(f"{self.attack}: crashes of servers", self.crashes)]
        return [
            Finding(f"{self.attack}: crashes of servers", self.crashes, most=0),
            Finding(f"{self.attack}: breakers opened", self.opened, most=0),
        ]


async def trial(on: Stage, seconds: float, seed: int, names: Sequence[str], say: Say) -> Findings:
    """Runs it for so long."""
    part_s = seconds / sum(_PARTS.get(name, 1) for name in names)
    await ask_for(on.port, _WARM_S, say)
    alone = await ask_for(on.port, min(_ALONE_S, seconds), say)
    say(f"alone: {alone}")
    found: Findings = [Finding("alone: failures", alone.failed.total(), most=0)]
    for number, name in enumerate(names):
        beside = await _beside(on, name, part_s * _PARTS.get(name, 1), seed + number, say)
        found += beside.findings(alone)
        say(f"{name}: {beside.seen}")
        say(
            f"{name}: {beside.crashes} crashes, breakers opened {beside.opened} times, "
            f"processors busy {beside.load:.0%}, memory MiB {_memory(on)}"
        )
        await asyncio.sleep(_PAUSE_S)
        await asyncio.to_thread(on.until_ready)
    return found


async def _beside(on: Stage, name: str, seconds: float, seed: int, say: Say) -> Beside:
    starts, opened, busy, began = on.starts(), on.opened(), busy_s(), time.monotonic()
    with _limited(on, name), attacking(on, name, seconds, seed) as hostile:
        seen = await ask_for(on.port, seconds, say)
        say(f"{name}: hostile: {await hostile.answered()}")
    load = (busy_s() - busy) / (time.monotonic() - began) / (psutil.cpu_count() or 1)
    return Beside(name, seen, on.starts() - starts, on.opened() - opened, load)


@contextmanager
def _limited(on: Stage, name: str) -> Iterator[None]:
    """Nothing takes slots from who has them: so an operator must bound how many somebody has."""
    if name != "long":
        yield
        return
    on.llamaq("tenant", "set", TENANT, "--concurrent", str(SLOTS * SERVERS - 2))
    yield
    on.llamaq("tenant", "remove", TENANT)


def _memory(on: Stage) -> str:
    return ", ".join(f"{part} {size:.0f}" for part, size in on.memory_mib().items())
