"""A sheet as Prometheus reads it. The first scrape loads the library."""

from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import TYPE_CHECKING

from dispatcher.metric import Distribution, Kind, Metric
from dispatcher.sheet import Sheet

if TYPE_CHECKING:
    from prometheus_client import Metric as Family


def metrics_text(sheet: Sheet, accept: str = "") -> tuple[bytes, str]:
    """The text and its content type: OpenMetrics where `accept` asks for it."""
    from prometheus_client.exposition import choose_encoder

    encode, content_type = choose_encoder(accept)
    return encode(_Collected(sheet)), content_type


class _Collected:
    """What the encoders ask of a registry."""

    def __init__(self, sheet: Sheet) -> None:
        self._sheet = sheet

    def collect(self) -> Iterator["Family"]:
        """All families."""
        for metric, numbers in self._sheet.numbers.items():
            yield _family(metric, numbers.items())
        for metric, distributions in self._sheet.distributions.items():
            yield _histogram(metric, distributions.items())


def _family(metric: Metric, values: Iterable[tuple[tuple[str, ...], float]]) -> "Family":
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    counts = metric.kind is Kind.COUNTER
    kind = CounterMetricFamily if counts else GaugeMetricFamily
    family = kind(metric.name, metric.help, labels=metric.labels)
    for labels, value in values:
        family.add_metric(labels, value)
    return family


def _histogram(metric: Metric, values: Iterable[tuple[tuple[str, ...], Distribution]]) -> "Family":
    from prometheus_client.core import HistogramMetricFamily

    family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
    names = [*(str(bound) for bound in metric.bounds), "+Inf"]
    for labels, one in values:
        buckets = list(zip(names, map(float, accumulate(one.counts)), strict=True))
        family.add_metric(labels, buckets, one.sum)
    return family
