"""The CPU time of all processes of a system, and of the machine."""

import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress

import psutil


def cpu_s(roots: Iterable[psutil.Process]) -> float:
    """User and system time that the processes and their children have used so far, in seconds."""
    return sum(_cpu_s(process) for root in roots for process in tree(root))


def cpu_s_by_part(roots: Iterable[psutil.Process]) -> Counter[str]:
    """The same for each part of a system: api, bridge, valkey-server, haproxy, …"""
    found: Counter[str] = Counter()
    for root in roots:
        found[_part(root)] += sum(_cpu_s(process) for process in tree(root))
    return found


def pss_bytes(roots: Iterable[psutil.Process]) -> int:
    """Their memory; what processes share is divided among them."""
    return sum(process.memory_full_info().pss for root in roots for process in tree(root))


def busy_s() -> float:
    """CPU time that the machine has spent on all programs."""
    times = psutil.cpu_times()
    return sum(times) - times.idle - getattr(times, "iowait", 0) - getattr(times, "guest", 0)


def tree(root: psutil.Process) -> list[psutil.Process]:
    """A process and all below it."""
    return [root, *root.children(recursive=True)]


def _part(process: psutil.Process) -> str:
    words = process.cmdline()
    return words[words.index("llamaq") + 1] if "llamaq" in words else process.name()


def _cpu_s(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        ended = times.children_user + times.children_system
        return _clock_s(process.pid, times.user + times.system) + ended
    return 0


def _clock_s(pid: int, rough_s: float) -> float:
    """The clock of a process, which Linux keeps in nanoseconds; elsewhere `rough_s`."""
    if not psutil.LINUX:
        return rough_s
    try:
        return time.clock_gettime((~pid << 3) | 2)  # as clock_getcpuclockid(3) makes it
    except OSError:
        return rough_s
