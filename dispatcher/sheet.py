"""The values of metrics at one moment, which add up over processes."""

import json
from collections.abc import Iterator
from typing import Any

from dispatcher.metric import Distribution, Kind, Metric
from dispatcher.metrics import METRICS

Labels = tuple[str, ...]
_BY_NAME = {metric.name: metric for metric in METRICS}


class Sheet:
    """Numbers and distributions of metrics, by their labels."""

    def __init__(self) -> None:
        self.numbers: dict[Metric, dict[Labels, float]] = {}
        self.distributions: dict[Metric, dict[Labels, Distribution]] = {}

    def add(self, metric: Metric, value: float, *labels: str) -> None:
        """Adds to a counter or a gauge."""
        found = self.numbers.setdefault(metric, {})
        found[labels] = found.get(labels, 0) + value

    def put(self, metric: Metric, other: Distribution, *labels: str) -> None:
        """Adds what was observed elsewhere."""
        found = self.distributions.setdefault(metric, {})
        if labels not in found:
            found[labels] = Distribution(metric.bounds)
        found[labels].add(other)

    def take(self, other: "Sheet") -> None:
        """Adds all of another sheet."""
        for metric, numbers in other.numbers.items():
            for labels, value in numbers.items():
                self.add(metric, value, *labels)
        for metric, distributions in other.distributions.items():
            for labels, distribution in distributions.items():
                self.put(metric, distribution, *labels)

    def lasting(self) -> "Sheet":
        """What stays true of a process that has ended: all but its gauges."""
        kept = Sheet()
        kept.take(self)
        for metric in [each for each in kept.numbers if each.kind is Kind.GAUGE]:
            del kept.numbers[metric]
        return kept

    def packed(self) -> bytes:
        """As bytes, for other processes of this build."""
        return json.dumps(list(self._rows()), separators=(",", ":")).encode()

    def _rows(self) -> Iterator[list[Any]]:
        for metric, numbers in self.numbers.items():
            for labels, value in numbers.items():
                yield [metric.name, labels, value]
        for metric, distributions in self.distributions.items():
            for labels, one in distributions.items():
                yield [metric.name, labels, one.sum, one.counts]


def unpacked(data: bytes) -> Sheet:
    """What `Sheet.packed` has packed."""
    sheet = Sheet()
    for name, labels, value, *counts in json.loads(data):
        metric = _BY_NAME[name]
        if counts:
            found = Distribution(metric.bounds)
            found.sum, found.counts = value, counts[0]
            sheet.put(metric, found, *labels)
        else:
            sheet.add(metric, value, *labels)
    return sheet
