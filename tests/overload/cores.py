"""How much of the processors a system may have, beside the load and all other programs."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from bench.cpu_time import busy_s, cpu_s


@contextmanager
def cores_left() -> Iterator[list[float]]:
    """Puts into the list how many cores were idle or at work for the system, which this process
    has started. What this process takes itself is not for the system.
    """
    found: list[float] = []
    started_s, taken_s = time.perf_counter(), _taken_s()
    yield found
    passed_s = time.perf_counter() - started_s
    found.append((psutil.cpu_count() or 1) - (_taken_s() - taken_s) / passed_s)


def _taken_s() -> float:
    """CPU time of all but the system."""
    system_s = cpu_s([psutil.Process()]) - time.process_time()
    return busy_s() - system_s
