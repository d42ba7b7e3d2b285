"""What runs came to, as lines of a table."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil
from statistics import median

from bench.mixed_fleet.fleet import Served
from bench.mixed_fleet.jobs import SLOTS, SPEEDS, Job, fleet_speed
from bench.mixed_fleet.load import Asked

HEADER = (
    f"{'':8} {'p50':>6} {'p90':>6} {'p99':>6}  {'on C':>5}  {'A busy':>6} {'B':>6} {'C':>6}  "
    f"{'late':>8}"
)
BACKLOG_HEADER = f"  {'makespan':>8} {'/ideal':>6} {'most':>6} {'refill':>9}"


@dataclass(slots=True)
class Figures:
    """What one or more runs of a system came to, in seconds of the servers' own speed."""

    ideal_s: list[float] = field(default_factory=list)
    makespan_s: list[float] = field(default_factory=list)
    latencies_s: list[float] = field(default_factory=list)
    refills_s: list[float] = field(default_factory=list)
    jobs: dict[str, int] = field(default_factory=dict)
    busy_s: dict[str, float] = field(default_factory=dict)
    late_s: float = 0
    failed: int = 0

    def add(self, jobs: Sequence[Job], asked: Sequence[Asked], served: Sequence[Served]) -> None:
        """Takes one more run."""
        self.ideal_s.append(sum(job.fast_s for job in jobs) / fleet_speed())
        self.makespan_s.append(max(a.ended_s for a in asked) - min(a.due_s for a in asked))
        self.latencies_s += [one.latency_s for one in asked if one.ok]
        self.late_s = max(self.late_s, *(one.late_s for one in served))
        self.failed += sum(not one.ok for one in asked)
        for name in SPEEDS:
            of_it = [one for one in served if one.server == name]
            self.jobs[name] = self.jobs.get(name, 0) + len(of_it)
            self.busy_s[name] = self.busy_s.get(name, 0) + sum(
                one.ended_s - one.started_s for one in of_it
            )
            if SPEEDS[name] == 1:
                self.refills_s += refills_s(of_it, max(one.started_s for one in served))

    def percentile(self, part: float) -> float:
        """Of the latency."""
        ordered = sorted(self.latencies_s)
        return ordered[max(0, ceil(part * len(ordered)) - 1)]

    @property
    def over_ideal(self) -> float:
        """Makespan over ideal."""
        return sum(self.makespan_s) / sum(self.ideal_s)

    def row(self, name: str, scale: float) -> str:
        """A line of the table."""
        wall_s, count = sum(self.makespan_s), sum(self.jobs.values())
        busy = " ".join(f"{spent_s / SLOTS / wall_s:6.2f}" for spent_s in self.busy_s.values())
        waits = " ".join(f"{self.percentile(part) * scale:6.3f}" for part in (0.5, 0.9, 0.99))
        failed = f"  {self.failed} FAILED" if self.failed else ""
        on_c, late = self.jobs["C"] / count, f"{self.late_s * 1e3:5.1f} ms"
        return f"{name:8} {waits}  {on_c:5.3f}  {busy}  {late}{failed}"

    def backlog_row(self) -> str:
        """More figures, where some jobs wait all the time."""
        ratios = [got / ideal for got, ideal in zip(self.makespan_s, self.ideal_s, strict=True)]
        return (
            f"  {sum(self.makespan_s):8.2f} {self.over_ideal:6.3f} {max(ratios):6.3f} "
            f"{median(self.refills_s) * 1e3:6.1f} ms"
        )


def refills_s(served: Sequence[Served], until_s: float) -> list[float]:
    """How long after each end on a server the next start was; up to when jobs still waited."""
    starts = sorted(one.started_s for one in served)
    ends = sorted(one.ended_s for one in served)
    return [
        start_s - end_s
        for end_s, start_s in zip(ends, starts[SLOTS:], strict=False)
        if end_s < until_s
    ]


def verdict(words: str, value: float, most: float) -> None:
    """Prints whether a line of the issue is reached."""
    print(f"  {'reached' if value <= most else 'MISSED '}  {words}: {value:.3f} (at most {most:g})")
