"""How much memory this machine has, or the container that this process is in."""

import os
from contextlib import suppress
from pathlib import Path

_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),  # cgroup v1
)


def memory_bytes(limits: tuple[Path, ...] = _LIMITS) -> int:
    """The memory of the machine, or less where one of these files of a container says so."""
    known = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for limit in limits:
        with suppress(OSError, ValueError):  # no container, or "max"
            known.append(int(limit.read_text()))
    return min(known)
