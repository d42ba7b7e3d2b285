"""Kills workers in the middle of streams, which must say what an uninterrupted one says.

`python -m tests.kills --endpoint completions --kills 50` kills a server and a bridge in turn, on
real llama.cpp servers. It exits with 1 if one answer was not whole.
"""

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from llamaq.demo_model import write_demo_model
from testing.processes import api, valkey
from testing.tiny_ear import write_tiny_ear
from testing.twins import twins
from tests.kills.killing import Outcome, kill_in
from tests.kills.streams import STREAMS

PARTS = ("server", "bridge")
OFTEN = {"max_attempts": "9", "max_crashes": "9", "model_grace_s": "5"}


def main() -> int:
    """Kills as often as it is told, and says what came of it."""
    asked = _arguments()
    stream, outcomes = STREAMS[asked.endpoint], list[Outcome]()
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_demo_model(folder / "small.gguf", size="small")
        write_tiny_ear(folder / "ear.gguf", size="small")
        hears = ("--mmproj", str(folder / "ear.gguf"))
        options = hears if asked.endpoint == "transcriptions" else ()
        with (
            valkey(folder) as redis_url,
            api(redis_url, folder / "api.log", **OFTEN) as (_, url),
            twins(url, redis_url, folder, folder / "small.gguf", options) as both,
        ):
            for number in range(asked.kills):
                outcomes.append(kill_in(stream, both, number, PARTS[number % len(PARTS)]))
                if not outcomes[-1].is_whole:
                    print(f"question {number}: {outcomes[-1]}", file=sys.stderr)
            resumed = both.counter("resumed")
    return _report(asked.endpoint, outcomes, resumed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.kills", description=__doc__)
    parser.add_argument("--endpoint", choices=STREAMS, required=True)
    parser.add_argument("--kills", type=int, default=50)
    return parser.parse_args()


def _report(endpoint: str, outcomes: list[Outcome], resumed: int) -> int:
    whole = sum(outcome.is_whole for outcome in outcomes)
    print(f"/v1/{endpoint}: {len(outcomes)} killed, {resumed} went on elsewhere, {whole} whole")
    for place, part in enumerate(PARTS):
        waits = sorted(outcome.longest_s for outcome in outcomes[place :: len(PARTS)])
        if waits:
            middle = waits[len(waits) // 2]
            print(f"{part}: longest wait for text {waits[-1]:.2f} s, {middle:.2f} s at the median")
    return int(whole < len(outcomes))


if __name__ == "__main__":
    sys.exit(main())
