"""How much memory the processes take while the chaos lasts."""

import asyncio
from collections.abc import Callable

import psutil

from tests.chaos.fleet import Fleet

_EVERY_S = 60.0


class Memory:
    """Resident MiB of Redis, the APIs and the bridges, once a minute; restarts begin anew."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._names = ["redis", *fleet.apis, *fleet.bridges]
        self._seen: list[dict[str, float]] = []

    async def run(self, say: Callable[[str], None]) -> None:
        """Measures for ever."""
        while True:
            self._seen.append(self._look())
            say("memory MiB " + _line(self._seen[-1]))
            await asyncio.sleep(_EVERY_S)

    def report(self) -> list[str]:
        """The first and the last minute's figures, and the highest."""
        self._seen.append(self._look())
        most = {
            name: max(row[name] for row in self._seen if name in row)
            for name in self._names
            if any(name in row for row in self._seen)
        }
        return ["memory MiB, most: " + _line(most)]

    def _look(self) -> dict[str, float]:
        row = {}
        for name in self._names:
            pid = self._fleet.parts[name].pid
            if pid is not None:
                row[name] = psutil.Process(pid).memory_info().rss / 2**20
        return row


def _line(row: dict[str, float]) -> str:
    return " ".join(f"{name} {size:.0f}" for name, size in row.items())
