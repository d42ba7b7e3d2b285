"""The queries of the dashboard and of the alerts, as Prometheus gets them."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "deploy" / "grafana" / "llamaq.json"
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"

_INSTEAD = {"$__rate_interval": "30s", "$model": ".*"}
_METRIC = re.compile(r"\b(?:llamaq|process)_\w+")
_EXPRESSION = re.compile(r"^ +expr: (?:>-\n((?: {10}.*\n)+)|(.*)\n)", re.MULTILINE)


def of_dashboard() -> Iterator[tuple[str, str]]:
    """The title of each panel, and its queries."""
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", ()):
            query = target["expr"]
            for name, value in _INSTEAD.items():
                query = query.replace(name, value)
            yield panel["title"], query


def of_alerts() -> Iterator[str]:
    """The condition of each alert."""
    for several, one in _EXPRESSION.findall(ALERTS.read_text()):
        yield " ".join((several or one).split())


def named_in(query: str) -> set[str]:
    """The metrics that a query names, with the suffixes of histograms."""
    return set(_METRIC.findall(query))
