"""Debian's promtool and prometheus."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

from tests.metrics.queries import ALERTS

_CONFIGURATION = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: ['{alerts}']
scrape_configs:
  - job_name: llamaq-api
    authorization: {{credentials_file: '{token}'}}
    static_configs: [{{targets: ['{api}']}}]
  - job_name: llamaq-bridge
    static_configs: [{{targets: [{bridges}]}}]
"""


def tool(name: str) -> str:
    """The path of this program. It is missed where it is missing."""
    found = shutil.which(name, path=os.environ.get("PROMETHEUS_BIN") or None)
    if found is None:
        sys.exit(
            f"missing: {name}. It is in Debian's package prometheus: apt-get install prometheus"
        )
    return found


def check(*arguments: str, told: bytes = b"") -> None:
    """Runs promtool, which must have nothing to say against it."""
    folder = ALERTS.parent
    done = subprocess.run(
        [tool("promtool"), *arguments], input=told, capture_output=True, cwd=folder
    )
    said = (done.stdout + done.stderr).decode()
    if done.returncode or (told and said.strip()):
        sys.exit(f"promtool {' '.join(arguments)}:\n{said}")


def configuration(folder: Path, api: str, token: str, bridges: list[str]) -> Path:
    """The file for a Prometheus that scrapes these addresses each second."""
    kept = folder / "llamaq.token"
    kept.write_text(token)
    listed = ", ".join(f"'{each}'" for each in bridges)
    path = folder / "prometheus.yml"
    path.write_text(_CONFIGURATION.format(alerts=ALERTS, token=kept, api=api, bridges=listed))
    check("check", "config", str(path))
    return path


class Prometheus:
    """One that runs, at this address."""

    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, path: str, **asked: str) -> Any:
        """What its API says. Raises `urllib.error.HTTPError` for a query that can't be run."""
        with urlopen(f"{self.url}/api/v1/{path}?{urlencode(asked)}", timeout=10) as found:
            return json.load(found)["data"]

    def values(self, query: str) -> list[float]:
        """Those that a query has now, NaN left out."""
        found = [float(each["value"][1]) for each in self.get("query", query=query)["result"]]
        return [value for value in found if value == value]

    def unhealthy(self) -> list[str]:
        """Targets that it can't scrape, and why."""
        targets = self.get("targets")["activeTargets"]
        return [
            f"{t['scrapeUrl']}: {t['lastError'] or t['health']}"
            for t in targets
            if t["health"] != "up"
        ]

    def names(self) -> set[str]:
        """All metrics that it has."""
        return set(self.get("label/__name__/values"))
