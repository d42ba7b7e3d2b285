"""Holds each metric at nothing in turn: does a test of metrics notice?

python -m tests.metrics.frozen [METRIC …]    # all of them: some minutes
"""

import os
import subprocess
import sys

import pytest

from dispatcher import sheet
from dispatcher.metric import Distribution, Metric
from dispatcher.metrics import METRICS
from tests.metrics.queries import ROOT

TESTS = (
    "tests/unit/api/test_request_metrics.py",
    "tests/unit/dispatcher/test_queue_figures.py",
    "tests/integration/api/test_metrics.py",
    "tests/unit/dispatcher/test_process_watch.py",
    "tests/integration/worker_bridge/test_metrics.py",
)
_FROZEN = "LLAMAQ_FROZEN_METRIC"


def pytest_configure(config: pytest.Config) -> None:
    """As a plugin of pytest: the metric in the environment never gets a value."""
    if name := os.environ.get(_FROZEN):
        _freeze(name)


def _freeze(name: str) -> None:
    add, put = sheet.Sheet.add, sheet.Sheet.put

    def add_unless_frozen(self: sheet.Sheet, metric: Metric, value: float, *labels: str) -> None:
        add(self, metric, 0 if metric.name == name else value, *labels)

    def put_unless_frozen(
        self: sheet.Sheet, metric: Metric, other: Distribution, *labels: str
    ) -> None:
        put(self, metric, Distribution(metric.bounds) if metric.name == name else other, *labels)

    sheet.Sheet.add = add_unless_frozen  # type: ignore[method-assign]
    sheet.Sheet.put = put_unless_frozen  # type: ignore[method-assign]


def _notices(name: str) -> bool:
    """Whether a test fails while this metric, or none where it is empty, has no value."""
    command = [sys.executable, "-m", "pytest", "-qx", "-p", "tests.metrics.frozen", *TESTS]
    told = {**os.environ, _FROZEN: name, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=told, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.returncode == 1


def main(names: list[str]) -> int:
    if _notices(""):
        print("the tests fail without that")
        return 1
    unnoticed = 0
    for name in names or [metric.name for metric in METRICS]:
        is_noticed = _notices(name)
        unnoticed += not is_noticed
        print(f"{name}: {'noticed' if is_noticed else 'NOT NOTICED'}", flush=True)
    print(f"{unnoticed} not noticed")
    return int(unnoticed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
