"""How a process does: how late its event loop is, and how soon Redis answers it."""

import asyncio
import mmap
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from platform import python_version

from dispatcher import metrics
from dispatcher.beat import until_beat_s
from dispatcher.link import Link
from dispatcher.metric import Distribution
from dispatcher.reaper import REAPED, REAPED_KINDS
from dispatcher.sheet import Sheet

_EVERY_S = 1.0


class ProcessWatch:
    """Looks once a second, and then calls `looked`. `link` is the one that requests use."""

    def __init__(self, link: Link, looked: Callable[[], None] = lambda: None) -> None:
        self._link = link
        self._looked = looked
        self._lateness = Distribution(metrics.LOOP_LATENESS.bounds)
        self._round_trip = Distribution(metrics.REDIS_ROUND_TRIP.bounds)
        self._failures = 0
        self._asked: asyncio.Future[object] | None = None

    async def run(self) -> None:
        """Looks for ever."""
        clock = time.monotonic
        while True:
            pause_s = until_beat_s(_EVERY_S)
            due_s = clock() + pause_s
            await asyncio.sleep(pause_s)
            self._lateness.observe(max(0.0, clock() - due_s))
            self.look()
            self._looked()

    def look(self) -> None:
        """Asks Redis for an answer, unless it still owes one."""
        if self._asked is not None and not self._asked.done():
            return
        asked_at = time.perf_counter()
        self._asked = self._link.call("PING")
        self._asked.add_done_callback(lambda answer: self._answered(answer, asked_at))

    def _answered(self, answer: "asyncio.Future[object]", asked_at: float) -> None:
        if answer.cancelled() or answer.exception() is not None:
            self._failures += 1
        else:
            self._round_trip.observe(time.perf_counter() - asked_at)

    def sheet(self) -> Sheet:
        """What is known of the process."""
        sheet = Sheet()
        sheet.put(metrics.LOOP_LATENESS, self._lateness)
        sheet.put(metrics.REDIS_ROUND_TRIP, self._round_trip)
        sheet.add(metrics.REDIS_FAILURES, self._failures)
        for kind, end in REAPED_KINDS:
            sheet.add(metrics.REAPED_LEASES, REAPED.leases[kind, end], kind, end)
        sheet.add(metrics.REAPED_JOBS, REAPED.jobs)
        sheet.add(metrics.CPU, time.process_time())
        if resident := _resident_bytes():
            sheet.add(metrics.MEMORY, resident)
        return sheet


def build_info() -> Sheet:
    """Which llamaq it is, once for all its processes."""
    sheet = Sheet()
    sheet.add(metrics.BUILD, 1, version("llamaq"), python_version())
    return sheet


def _resident_bytes() -> int:
    """Of this process; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * mmap.PAGESIZE
