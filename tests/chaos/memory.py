"""How much memory the processes take while the chaos lasts."""

import asyncio
from collections.abc import Callable
from statistics import mean

import psutil

from tests.chaos.fleet import Fleet

_EVERY_S = 60.0


class Memory:
    """Resident MiB of Redis, the APIs and the bridges, once a minute."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._names = ["redis", *fleet.apis, *fleet.bridges]
        self._pids: dict[str, int] = {}
        self._seen: list[dict[str, float]] = []
        self._lived_on = set(self._names)

    async def run(self, say: Callable[[str], None]) -> None:
        """Measures for ever."""
        while True:
            self._seen.append(self._look())
            say("memory MiB " + _line(self._seen[-1]))
            await asyncio.sleep(_EVERY_S)

    def report(self) -> list[str]:
        """The most of each; and of those that no fault has ended its mean in each quarter."""
        most = {
            name: max(row[name] for row in self._seen if name in row)
            for name in self._names
            if any(name in row for row in self._seen)
        }
        quarters = [
            f"memory MiB, {name} in each quarter: " + " ".join(f"{size:.1f}" for size in means)
            for name in self._names
            if name in self._lived_on and (means := self._quarters(name))
        ]
        return ["memory MiB, most: " + _line(most), *quarters]

    def _quarters(self, name: str) -> list[float]:
        sizes = [row[name] for row in self._seen if name in row]
        length = len(sizes) // 4
        return [mean(sizes[i * length : (i + 1) * length]) for i in range(4) if length]

    def _look(self) -> dict[str, float]:
        row = {}
        for name in self._names:
            pid = self._fleet.parts[name].pid
            if pid is None or self._pids.setdefault(name, pid) != pid:
                self._lived_on.discard(name)
            if pid is not None:
                row[name] = psutil.Process(pid).memory_info().rss / 2**20
        return row


def _line(row: dict[str, float]) -> str:
    return " ".join(f"{name} {size:.0f}" for name, size in row.items())
