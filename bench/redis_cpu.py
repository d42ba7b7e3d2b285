"""Measures the CPU time that calls cost Redis."""

from collections.abc import Awaitable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles

from redis.asyncio import Redis


@dataclass(slots=True)
class Spent:
    """What a call of one kind has cost in each round, in microseconds."""

    cpu: list[float] = field(default_factory=list)
    script: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{typical(self.cpu):5.0f} ({typical(self.script):4.0f})"


def typical(rounds: list[float]) -> float:
    """A quarter of the rounds cost less; 0 without any."""
    return quantiles(rounds, n=4)[0] if len(rounds) > 1 else 0


@dataclass(slots=True)
class Meter:
    """Reads what Redis' main thread has used."""

    redis: Redis
    pid: int
    spent: dict[str, Spent] = field(default_factory=dict)

    async def measure(self, kind: str, calls: Iterable[Awaitable[object]], per: int = 1) -> None:
        """Makes the calls, one after the other; each counts as `per`."""
        await self.redis.config_resetstat()
        before, number = self._cpu_s(), 0
        for call in calls:
            await call
            number += per
        cpu_s = self._cpu_s() - before
        stats = await self.redis.info("commandstats")
        spent = self.spent.setdefault(kind, Spent())
        spent.cpu.append(cpu_s / number * 1e6)
        spent.script.append(stats.get("cmdstat_evalsha", {"usec": 0})["usec"] / number)

    def _cpu_s(self) -> float:
        text = Path(f"/proc/{self.pid}/task/{self.pid}/schedstat").read_text()
        return int(text.split()[0]) / 1e9
