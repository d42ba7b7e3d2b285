"""What is written about metrics is what the code has: page, dashboard, alerts and tests."""

import re
from pathlib import Path

import pytest

from dispatcher.metric import Kind, Metric
from dispatcher.metrics import METRICS
from tests.metrics.frozen import TESTS
from tests.metrics.queries import ALERTS, ROOT, named_in, of_alerts, of_dashboard

_UNITS = "seconds|bytes|tokens_per_second|total|info"


def samples_of(metric: Metric) -> set[str]:
    """The names that queries may have for it."""
    parts = ("_bucket", "_count", "_sum") if metric.kind is Kind.HISTOGRAM else ("",)
    return {metric.name + part for part in parts}


def test_page_has_all_metrics_as_they_are() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*) \| (.*) \|$", page, re.MULTILINE)
    in_code = {
        (m.name, m.kind.value, ", ".join(f"`{label}`" for label in m.labels) or "-", m.help)
        for m in METRICS
    }
    assert set(rows) == in_code
    assert len(rows) == len(in_code)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_metric_is_named_as_prometheus_names_them(metric: Metric) -> None:
    assert re.fullmatch(r"(llamaq|process)(_[a-z]+)+", metric.name)
    assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
    assert not re.search(r"_(ms|s|kb|mb|milli\w*|tps|ttft|req|num|cnt)(_|$)", metric.name)
    assert (metric.bounds != ()) == (metric.kind is Kind.HISTOGRAM)
    assert list(metric.bounds) == sorted(set(metric.bounds))
    assert metric.help.endswith(".")


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_test_sees_the_metric_move(metric: Metric) -> None:
    """`python -m tests.metrics.frozen` shows that the test would notice if it did not."""
    assert any(f'"{metric.name}' in (ROOT / path).read_text() for path in TESTS)


def test_queries_name_only_metrics_that_there_are() -> None:
    known = set().union(*map(samples_of, METRICS))
    for title, query in of_dashboard():
        assert named_in(query), title
        assert named_in(query) <= known, title
    for query in of_alerts():
        assert named_in(query) <= known


def test_dashboard_shows_all_metrics() -> None:
    shown = set().union(*(named_in(query) for _, query in of_dashboard()))
    assert [metric.name for metric in METRICS if not samples_of(metric) & shown] == []


def test_each_alert_has_a_test_of_when_it_comes_and_of_when_it_does_not() -> None:
    text = ALERTS.read_text()
    alerts = re.findall(r"alert: (\w+)", text)
    assert len(alerts) == len(list(of_alerts())) > 15
    tests = ALERTS.with_name("alerts_test.yml").read_text()
    for alert in alerts:
        assert f"- name: {alert} comes\n" in tests
        assert f"- name: {alert} does not come\n" in tests
    assert text.count("summary:") == text.count("description:") == len(alerts)


def test_files_that_are_provisioned_are_there() -> None:
    folder = Path(ROOT, "deploy", "grafana", "provisioning")
    assert (folder / "dashboards" / "llamaq.yml").is_file()
    assert (folder / "datasources" / "prometheus.yml").is_file()
