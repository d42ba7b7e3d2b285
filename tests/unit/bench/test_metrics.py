"""The figures are what their names say."""

from dataclasses import replace

import pytest

from bench.simulate import metrics
from bench.simulate.words import Record

RECORD = Record("j", "t", "t", "default", 1, "w", 0, 0, 1000, 100, 0, 50)


def record(arrived_ms: float, started_ms: float, finished_ms: float, **more: object) -> Record:
    times = {"arrived_ms": arrived_ms, "started_ms": started_ms, "finished_ms": finished_ms}
    return replace(RECORD, **times, **more)


def test_spread_of_nothing_is_nothing() -> None:
    assert metrics.spread([]) == metrics.Spread(0, 0, 0, 0, 0)


def test_percentiles_are_values_that_occur() -> None:
    values = metrics.spread(range(1, 201))
    assert (values.p50, values.p99, values.most, values.mean) == (100, 198, 200, 100.5)


def test_waiting_ends_when_a_worker_takes_the_job() -> None:
    records = [record(0, 100, 900), record(50, 50, 100)]
    assert metrics.waits_ms(records).most == 100
    assert metrics.latencies_ms(records).most == 900


def test_makespan_is_from_the_first_arrival_to_the_last_end() -> None:
    assert metrics.makespan_ms([record(100, 100, 200), record(50, 300, 400)]) == 350
    assert metrics.makespan_ms([]) == 0


def test_utilisation_is_of_all_slots_until_then() -> None:
    records = [record(0, 0, 1000), record(0, 500, 1000)]
    assert metrics.utilisation(records, slots=2) == pytest.approx(0.75)
    assert metrics.utilisation(records, slots=2, until_ms=500) == pytest.approx(0.5)
    assert metrics.utilisation([], slots=2) == 0


def test_cached_tokens_are_not_evaluated() -> None:
    records = [record(0, 0, 1), record(0, 0, 1, cached_tokens=60)]
    assert metrics.evaluated_tokens(records) == 140
    assert metrics.cached_part(records) == pytest.approx(0.3)


def test_fair_is_who_serves_equal_tenants_by_turns() -> None:
    by_turns = [record(0, n, n + 1, tenant="ab"[n % 2]) for n in range(20)]
    assert metrics.fairness(by_turns, until_ms=9) == 1


def test_unfair_is_who_serves_one_before_the_other() -> None:
    in_order = [record(0, n, n + 1, tenant="a" if n < 10 else "b") for n in range(20)]
    assert metrics.fairness(in_order, until_ms=9) == pytest.approx(0.5)


def test_a_weight_is_a_larger_part() -> None:
    weights = {"a": 3.0, "b": 1.0}
    turns = [record(0, n, n + 1, tenant="aaab"[n % 4], weight=0) for n in range(40)]
    turns = [replace(each, weight=weights[each.tenant]) for each in turns]
    assert metrics.fairness(turns, until_ms=19) == 1
    served = metrics.served_per_weight(turns, until_ms=19)
    assert served == {"a": pytest.approx(1000), "b": pytest.approx(1000)}


def test_who_asks_for_little_has_no_more_than_that() -> None:
    jobs = [record(0, 0, 1, tenant="little")]
    jobs += [record(0, n, n + 1, tenant="much") for n in range(1, 20)]
    assert metrics.fairness(jobs, until_ms=9) == 1


def test_tiers_are_not_compared() -> None:
    jobs = [record(0, n, n + 1, tenant="a", tier="priority") for n in range(10)]
    jobs += [record(0, 100, 101, tenant="b", tier="flex")]
    assert metrics.fairness(jobs, until_ms=9) == 1
