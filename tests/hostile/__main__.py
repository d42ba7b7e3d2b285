"""One hostile tenant beside a good one: does it harm servers, or make the good one wait?

python -m tests.hostile --minutes 10 --seed 7   all attacks, one after the other
python -m tests.hostile --only bug users        two of them
python -m tests.hostile --flood                 5,000 jobs of 1 MB beside one job a second

Exit status 1 when a figure is not what it must be. Other loads on the machine spoil the figures.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from tests.hostile.attacks import ATTACKS
from tests.hostile.flood import flood
from tests.hostile.stage import stage
from tests.hostile.trial import trial
from tests.overload.finding import Finding


class Log:
    """Prints lines with the time that has passed."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self, line: str) -> None:
        print(f"{time.monotonic() - self._began:7.1f} {line}", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.hostile",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--only", nargs="+", choices=ATTACKS, default=list(ATTACKS))
    parser.add_argument("--flood", action="store_true", help="that, instead of the attacks")
    parser.add_argument("--api-workers", type=int, default=1, help="processes of the API")
    parser.add_argument("--folder", type=Path, help="for the logs; must not exist")
    return parser.parse_args()


def run(options: argparse.Namespace, folder: Path) -> list[Finding]:
    """Starts the stage, and runs the trial on it."""
    say = Log()
    say(f"seed {options.seed}, logs in {folder}")
    with stage(folder, options.api_workers) as on:
        if options.flood:
            return asyncio.run(flood(on, say))
        seconds = options.minutes * 60
        return asyncio.run(trial(on, seconds, options.seed, options.only, say))


def main() -> int:
    """Exit status 1 where something was not as it must be."""
    options = _options()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="llamaq-hostile-"))
    folder.mkdir(parents=True, exist_ok=True)
    found = run(options, folder)
    for finding in found:
        print(finding)
    return int(not all(finding.is_good for finding in found))


if __name__ == "__main__":
    sys.exit(main())
