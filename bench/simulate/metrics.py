"""Figures of a run, from the records of its jobs. Pure; a real run's records will do as well."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, inf

from bench.simulate.words import Record

Key = Callable[[Record], str]
"""What records are grouped by."""


@dataclass(frozen=True, slots=True)
class Spread:
    """How a quantity is distributed: in the unit of the quantity."""

    count: int
    mean: float
    p50: float
    p99: float
    most: float


def percentile(ordered: Sequence[float], part: float) -> float:
    """The least value that `part` of all do not exceed; `ordered` rises.

    >>> percentile([1, 2, 3, 4], 0.5), percentile([1, 2, 3, 4], 0.99), percentile([], 0.5)
    (2, 4, 0.0)
    """
    return ordered[max(0, ceil(part * len(ordered)) - 1)] if ordered else 0.0


def spread(values: Iterable[float]) -> Spread:
    """The distribution of some values."""
    ordered = sorted(values)
    mean = sum(ordered) / len(ordered) if ordered else 0.0
    most = ordered[-1] if ordered else 0.0
    return Spread(len(ordered), mean, percentile(ordered, 0.5), percentile(ordered, 0.99), most)


def waits_ms(records: Iterable[Record]) -> Spread:
    """How long jobs waited until they were taken."""
    return spread(record.wait_ms for record in records)


def latencies_ms(records: Iterable[Record]) -> Spread:
    """How long jobs took from their arrival to their end."""
    return spread(record.latency_ms for record in records)


def by(key: Key, records: Iterable[Record]) -> dict[str, list[Record]]:
    """The records that share a key, in the order of the keys."""
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        groups[key(record)].append(record)
    return dict(sorted(groups.items()))


def makespan_ms(records: Sequence[Record]) -> float:
    """From the first arrival to the last end."""
    if not records:
        return 0.0
    return max(r.finished_ms for r in records) - min(r.arrived_ms for r in records)


def utilisation(records: Sequence[Record], slots: int, until_ms: float = inf) -> float:
    """The part of all slots' time that jobs used, from the first arrival until then."""
    if not records:
        return 0.0
    until_ms = min(until_ms, max(record.finished_ms for record in records))
    busy_ms = sum(max(0, min(r.finished_ms, until_ms) - r.started_ms) for r in records)
    span_ms = until_ms - min(record.arrived_ms for record in records)
    return busy_ms / (slots * span_ms) if span_ms > 0 else 0.0


def half_begun_ms(records: Iterable[Record]) -> float:
    """When half of all jobs had been begun: while there is a backlog, if there is one at all."""
    return percentile(sorted(record.started_ms for record in records), 0.5)


def cached_part(records: Iterable[Record]) -> float:
    """The part of all prompt tokens that was not evaluated again."""
    cached = total = 0
    for record in records:
        cached += record.cached_tokens
        total += record.prompt_tokens
    return cached / total if total else 0.0


def evaluated_tokens(records: Iterable[Record]) -> int:
    """Prompt tokens that were evaluated."""
    return sum(record.prompt_tokens - record.cached_tokens for record in records)


def fair_shares(demands: Mapping[str, float], weights: Mapping[str, float]) -> dict[str, float]:
    """What each should have had of one unit of service: weighted max-min fairness.

    Nobody gets more than its demand, in the same unit; what is left over goes to the others.

    >>> fair_shares({"a": 0.25, "b": 0.75, "c": 0.75}, {"a": 2, "b": 1, "c": 2})
    {'a': 0.25, 'b': 0.25, 'c': 0.5}
    """
    left, weight = 1.0, sum(weights[name] for name in demands)
    shares = {}
    for name in sorted(demands, key=lambda name: demands[name] / weights[name]):
        shares[name] = min(demands[name], left * weights[name] / weight) if weight > 0 else 0.0
        left -= shares[name]
        weight -= weights[name]
    return dict(sorted(shares.items()))


def fairness(records: Sequence[Record], until_ms: float = inf) -> float:
    """The part of all service that went to those whom weighted max-min fairness owes it.

    Of what was begun until `until_ms`, a time at which jobs still wait; 1 is fair. Tenants of one
    tier are compared; tiers have their own weights.
    """
    owed = total = 0.0
    for members in by(lambda record: record.tier, records).values():
        served, demand, weights = _of_tenants(members, until_ms)
        whole = sum(served.values())
        if whole:
            shares = fair_shares({name: d / whole for name, d in demand.items()}, weights)
            owed += sum(min(served.get(name, 0.0), part * whole) for name, part in shares.items())
            total += whole
    return owed / total if total else 1.0


def _of_tenants(
    records: Iterable[Record], until_ms: float
) -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
    """Cost begun, cost that had come, and weight, by tenant."""
    served: dict[str, float] = defaultdict(float)
    demand: dict[str, float] = defaultdict(float)
    weights: dict[str, float] = {}
    for record in records:
        if record.arrived_ms <= until_ms:
            demand[record.tenant] += record.cost
            weights[record.tenant] = record.weight
            if record.started_ms <= until_ms:
                served[record.tenant] += record.cost
    return served, demand, weights


def served_per_weight(records: Iterable[Record], until_ms: float = inf) -> dict[str, float]:
    """Tokens (input 1, output 2, cached 0.1) begun until then, per weight, by tenant."""
    served: dict[str, float] = defaultdict(float)
    for record in records:
        if record.started_ms <= until_ms:
            served[record.tenant] += record.cost / 1000 / record.weight
    return dict(served)
