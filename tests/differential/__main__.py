"""Sends generated requests to real llama.cpp servers, directly and through llamaq.

`python -m tests.differential --requests 300` asks each endpoint so often. It exits with 1 if
answers differ in a way that is of no kind in `tests/differential/kinds.py`, or where llamaq has
made a mistake of its own (a 500 with `internal_error`).
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.differential.comparing import compared
from tests.differential.differences import Difference
from tests.differential.kinds import KINDS, kind_of
from tests.differential.plans import PLANS
from tests.differential.requests import requests
from tests.differential.stage import stage


def main() -> int:
    """Compares, and says what came of it."""
    asked = _arguments()
    found = list[Difference]()
    with TemporaryDirectory() as name, stage(Path(name)) as there:
        for endpoint in asked.endpoint or PLANS:
            started = time.monotonic()
            new = compared(there, list(requests(PLANS[endpoint], asked.requests, asked.seed)))
            faults = sum(kind_of(difference) is None for difference in new)
            print(
                f"{PLANS[endpoint].path}: {asked.requests} requests, {len(new) - faults} intended "
                f"differences, {faults} others, {time.monotonic() - started:.0f} s",
                flush=True,
            )
            found += new
    return _report(found)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.differential", description=__doc__)
    parser.add_argument("--endpoint", choices=PLANS, action="append")
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def _report(found: Sequence[Difference]) -> int:
    kinds = Counter(kind.name for kind in map(kind_of, found) if kind)
    for kind in KINDS:
        print(f"{kinds[kind.name]:6} {kind.name}")
    faults = [difference for difference in found if kind_of(difference) is None]
    alike = Counter(map(_place, faults))
    for place, difference in {_place(fault): fault for fault in faults}.items():
        print(f"differs {alike[place]} times: {difference}")
    return int(bool(faults))


def _place(found: Difference) -> tuple[str, str, str]:
    return found.request.plan.path, found.request.what, found.at


if __name__ == "__main__":
    sys.exit(main())
