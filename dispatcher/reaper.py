"""The tick that recovers what dead processes held. Every API and every bridge runs one."""

import asyncio
import logging
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from dispatcher.beat import until_beat_s
from dispatcher.commands import Commands
from dispatcher.constants import MOST_RECOVERED
from dispatcher.errors import RedisUnavailable
from dispatcher.row import printable

log = logging.getLogger("llamaq.reaper")

TICK_S = 1.0
_LIMIT = 100
_MOST_CHARS = 500


@dataclass(frozen=True, slots=True)
class Gone:
    """A worker that is gone, and how many of its jobs were given back."""

    worker: str
    jobs: int
    left: bool


@dataclass(frozen=True, slots=True)
class Reaped:
    """What one tick found: workers, APIs, and the jobs that were past a deadline.

    With `is_partial` there is more to do at once. `damaged` jobs were found since an earlier tick
    told of some. `damage` is what was wrong with the last one.
    """

    workers: tuple[Gone, ...] = ()
    apis: tuple[str, ...] = ()
    overdue: int = 0
    damaged: int = 0
    damage: str = ""
    is_partial: bool = False


REAPED_KINDS = ("worker", "left"), ("worker", "died"), ("api", "gone")
"""Whose leases are reaped, and how they ended."""


@dataclass(slots=True)
class Tally:
    """What this process has reaped since it began: leases, by owner and by end, and the jobs that
    were given back.
    """

    leases: Counter[tuple[str, str]] = field(default_factory=Counter)
    jobs: int = 0

    def count(self, reaped: Reaped) -> None:
        """Counts what one tick has found."""
        for gone in reaped.workers:
            self.leases["worker", "left" if gone.left else "died"] += 1
            self.jobs += gone.jobs
        if reaped.apis:
            self.leases["api", "gone"] += len(reaped.apis)


REAPED = Tally()
"""Of this process."""


async def reap(commands: Commands, lease_s: float) -> Reaped:
    """Runs the script once (lua/reap.lua)."""
    verdict, *rest = await commands.reap(int(lease_s * 1000), _LIMIT)
    return _read(*rest) if verdict == b"OK" else Reaped()


async def run_reaper(commands: Commands, lease_s: float) -> None:
    """Reaps for ever, also through an outage of Redis."""
    while True:
        has_more = False
        with suppress(RedisUnavailable):  # whoever needs Redis for more than this reports it
            reaped = await reap(commands, lease_s)
            REAPED.count(reaped)
            _tell(reaped)
            has_more = reaped.is_partial
        await asyncio.sleep(0 if has_more else until_beat_s(TICK_S))


def _read(
    workers: list[Any],
    given_back: int,
    overdue: int,
    apis: list[bytes],
    damaged: int = 0,
    what: bytes = b"",
) -> Reaped:
    triples = zip(*[iter(workers)] * 3, strict=True)
    gone = (Gone(_text(name), int(jobs), how == b"left") for name, jobs, how in triples)
    partial = given_back >= MOST_RECOVERED
    return Reaped(tuple(gone), tuple(map(_text, apis)), overdue, damaged, _text(what), partial)


def _text(name: bytes) -> str:
    return printable(name.decode(errors="replace"))[:_MOST_CHARS]


def _tell(reaped: Reaped) -> None:
    for gone in reaped.workers:
        if gone.left:
            log.info("worker=%s has left", gone.worker)
        else:
            log.warning("worker=%s died; %s of its jobs were given back", gone.worker, gone.jobs)
    for api in reaped.apis:
        log.info("api=%s is gone, and what it waited for with it", api)
    if reaped.overdue:
        log.info("jobs past a deadline: %s", reaped.overdue)
    if reaped.damaged:  # one reaper is told
        said = "%s damaged jobs have ended as failed; the last: %s"
        log.error(said, reaped.damaged, reaped.damage)
