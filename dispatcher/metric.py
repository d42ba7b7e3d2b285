"""What a metric is, and how values that spread are counted."""

from bisect import bisect_left
from dataclasses import dataclass
from enum import StrEnum

OTHER = "other"
"""The value of a label for whatever is not known by name: clients can't make up series."""


class Kind(StrEnum):
    """How the values of a metric behave. Those of several processes add up in any case."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Source(StrEnum):
    """Where a metric is read."""

    API = "API"
    BRIDGE = "bridge"
    BOTH = "both"
    REDIS = "API, of Redis"  # each API tells the same


@dataclass(frozen=True, slots=True, eq=False)
class Metric:
    """One metric. `bounds` are those of the buckets of a histogram, but for the last."""

    name: str
    kind: Kind
    source: Source
    help: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()


class Distribution:
    """How often values fell into each bucket, and their sum. The last bucket has no bound."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Counts a value. Hot paths do it without this call."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def add(self, other: "Distribution") -> None:
        """Counts what the other one has counted, too."""
        self.counts = [a + b for a, b in zip(self.counts, other.counts, strict=True)]
        self.sum += other.sum
