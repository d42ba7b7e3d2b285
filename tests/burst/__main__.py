"""Many streams at once while other programs take both cores: is a token doubled, missing or mixed?

python -m tests.burst --streams 1000 --runs 5
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from testing.processes import program
from tests.burst.fleet import fleet
from tests.burst.streams import Verdict, stream_all

SERVERS = 3
TOKENS = 40
TOKENS_PER_SECOND = 5
_BUSY = "while True: pass"


def main() -> None:
    """Prints how the streams of each run went; fails if one was wrong."""
    options = _options()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="llamaq-burst-")))
        of = stack.enter_context(fleet(folder, SERVERS, options.streams, TOKENS_PER_SECOND))
        for number in range(options.hogs):
            stack.enter_context(program([sys.executable, "-c", _BUSY], folder / f"hog{number}.log"))
        wrong = 0
        for run in range(options.runs):
            began = time.monotonic()
            seeds = range(run * options.streams + 1, (run + 1) * options.streams + 1)
            found = Counter(asyncio.run(stream_all(of.url, seeds, TOKENS)))
            wrong += found[Verdict.WRONG]
            counts = ", ".join(f"{found[verdict]} {verdict}" for verdict in Verdict)
            sys.stdout.write(f"run {run + 1}: {counts}, {time.monotonic() - began:.0f} s\n")
        logs = "".join(log.read_text(errors="replace") for log in folder.glob("*.log"))
        again, dead = logs.count("forgotten by Redis"), logs.count("is gone, and what it")
        sys.stdout.write(f"submitted again: {again} jobs; taken for dead: {dead} times an API\n")
    sys.exit(1 if wrong else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=1000, help="at once, in each run")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--hogs", type=int, default=4, help="processes that only take the cores")
    return parser.parse_args()


if __name__ == "__main__":
    main()
