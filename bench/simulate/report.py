"""The figures of several policies, as text."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import mean

from bench.simulate import metrics
from bench.simulate.words import Record


@dataclass(frozen=True, slots=True)
class Run:
    """One run: its records, the attempts that failed, and what an ideal fleet would take.

    Use and fairness are judged until `half_ms`: later there may be nobody left to serve.
    """

    records: list[Record]
    lost: int
    ideal_ms: float
    half_ms: float

    def only(self, key: metrics.Key, group: str) -> "Run":
        """The records of one group."""
        return replace(self, records=[r for r in self.records if key(r) == group])


Results = Mapping[str, Sequence[Run]]
"""The runs of each policy."""


def report(results: Results, slots: int, tenants: int) -> Iterator[str]:
    """All tables, line by line. Seconds, but for parts and counts."""
    yield from _table(("", *_WHOLE), (_whole(name, runs, slots) for name, runs in results.items()))
    yield "busy, fair and tokens/weight: until half of all jobs had been begun."
    for title, key in (("tier", _tier), ("tenants", _kind)):
        if len({key(record) for record in _all(results)}) > 1:
            yield ""
            yield from _table((title, "policy", *_GROUP), _groups(results, key))
    if len({record.tenant for record in _all(results)}) > 1:
        yield ""
        yield from _table(("tenant", "policy", *_GROUP), _busiest(results, tenants))


_WHOLE = (
    *("makespan", "/ideal", "most", "wait p50", "p99", "latency", "p50", "p99"),
    *("busy", "cached", "evaluated", "fair", "lost"),
)
_GROUP = ("jobs", "wait p50", "p99", "latency p50", "p99", "tokens/weight", "fair")


def _whole(name: str, runs: Sequence[Run], slots: int) -> tuple[str, ...]:
    records = _pooled(runs)
    wait, latency = metrics.waits_ms(records), metrics.latencies_ms(records)
    spans = [metrics.makespan_ms(run.records) for run in runs]
    ratios = [span / run.ideal_ms for span, run in zip(spans, runs, strict=True)]
    return (
        name,
        *(_seconds(mean(spans)), f"{mean(ratios):.3f}", f"{max(ratios):.3f}"),
        *(_seconds(wait.p50), _seconds(wait.p99)),
        *(_seconds(latency.mean), _seconds(latency.p50), _seconds(latency.p99)),
        f"{mean(metrics.utilisation(run.records, slots, run.half_ms) for run in runs):.3f}",
        f"{metrics.cached_part(records):.3f}",
        f"{metrics.evaluated_tokens(records):,}",
        f"{mean(metrics.fairness(run.records, run.half_ms) for run in runs):.3f}",
        f"{sum(run.lost for run in runs):,}",
    )


def _groups(results: Results, key: metrics.Key) -> Iterator[tuple[str, ...]]:
    for group in sorted({key(record) for record in _all(results)}):
        for name, runs in results.items():
            yield group, name, *_group([run.only(key, group) for run in runs])


def _busiest(results: Results, most: int) -> Iterator[tuple[str, ...]]:
    counts = {
        tenant: len(records)
        for tenant, records in metrics.by(_tenant, _pooled(next(iter(results.values())))).items()
    }
    for tenant in sorted(counts, key=lambda tenant: -counts[tenant])[:most]:
        for name, runs in results.items():
            yield tenant, name, *_group([run.only(_tenant, tenant) for run in runs])


def _group(runs: Sequence[Run]) -> tuple[str, ...]:
    records = _pooled(runs)
    wait, latency = metrics.waits_ms(records), metrics.latencies_ms(records)
    served = [metrics.served_per_weight(run.records, run.half_ms).values() for run in runs]
    return (
        f"{len(records):,}",
        *(_seconds(wait.p50), _seconds(wait.p99)),
        *(_seconds(latency.p50), _seconds(latency.p99)),
        f"{mean(mean(each) if each else 0 for each in served):,.0f}",
        f"{mean(metrics.fairness(run.records, run.half_ms) for run in runs):.3f}",
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    words = sum(not name[:1].isdigit() and column < 2 for column, name in enumerate(lines[-1]))
    for line in lines:
        yield "  ".join(
            text.ljust(width) if column < words else text.rjust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()


def _pooled(runs: Iterable[Run]) -> list[Record]:
    return [record for run in runs for record in run.records]


def _all(results: Results) -> Iterator[Record]:
    return (record for runs in results.values() for run in runs for record in run.records)


def _tier(record: Record) -> str:
    return record.tier


def _kind(record: Record) -> str:
    return record.kind


def _tenant(record: Record) -> str:
    return record.tenant


def _seconds(ms: float) -> str:
    return f"{ms / 1000:.2f}"
