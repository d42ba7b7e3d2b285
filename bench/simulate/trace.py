"""A workload from a file: JSON lines, or CSV with a head."""

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.simulate.words import Job, Tenant, TenantClass
from dispatcher.tier import Tier

COLUMNS = """arrived_s, prompt_tokens, completion_tokens; and, if they are known, tenant, tier,
weight, expected_tokens (of the completion), conversation"""


class Traced:
    """The jobs of a trace, at their times. A conversation's jobs begin with the ones before."""

    def __init__(self, rows: list[Mapping[str, Any]]) -> None:
        self.total = len(rows)
        self._rows = sorted(rows, key=lambda row: float(row["arrived_s"]))

    def begin(self) -> Iterator[tuple[float, Job]]:
        """All jobs, at their times."""
        before: dict[str, Job] = {}
        numbers: dict[str, int] = {}
        for number, row in enumerate(self._rows, 1):
            name = str(row.get("conversation") or f"job {number}")
            job = _job(number, numbers.setdefault(name, len(numbers)), before.get(name), row)
            before[name] = job
            yield float(row["arrived_s"]) * 1000, job

    def after(self, job: Job, now_ms: float) -> tuple[float, Job] | None:
        """None: all have times of their own."""
        return None


def read_trace(path: Path) -> Traced:
    """Reads a file whose name ends in `.csv`, or else one of JSON lines."""
    with path.open(newline="") as lines:
        rows = csv.DictReader(lines) if path.suffix == ".csv" else map(json.loads, lines)
        return Traced(list(rows))


def _job(number: int, conversation: int, before: Job | None, row: Mapping[str, Any]) -> Job:
    prompt, completion = int(row["prompt_tokens"]), int(row["completion_tokens"])
    known = before.prompt_tokens + before.completion_tokens if before else 0
    return Job(
        number=number,
        tenant=_tenant(row),
        prompt_tokens=max(prompt, known),
        completion_tokens=completion,
        expected_tokens=int(row.get("expected_tokens") or completion),
        conversation=conversation,
        turn=before.turn + 1 if before else 0,
        known_tokens=known,
    )


def _tenant(row: Mapping[str, Any]) -> Tenant:
    tier, weight = Tier(row.get("tier") or Tier.DEFAULT), float(row.get("weight") or 1)
    return Tenant(str(row.get("tenant") or "-"), TenantClass("trace", 1, 1, tier, weight))
