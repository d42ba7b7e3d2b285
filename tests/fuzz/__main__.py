"""Looks for inputs that do harm: bodies, raw bytes, tokens, workers' answers, keys of Redis.

python -m tests.fuzz --bodies 100000

Most go to the whole app in this process, behind llamaq's own HTTP protocol. `--sockets` of them go
to an API process of its own over real sockets. Exit status 1 for an answer 500, an exception that
nobody caught, a request without an end, or memory that grows. The input is then told, as small as
hypothesis can make it. It takes about a minute of processor time for 10,000 bodies.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from testing.processes import valkey
from tests.fuzz.edge import Edge, Wrong
from tests.fuzz.exploring import explore, rss_mib
from tests.fuzz.keys import COMMANDS, DEEDS, OWN_DEEDS, Fleet
from tests.fuzz.sockets import Sockets
from tests.fuzz.targets import targets

MOST_GROWTH_MIB = 24
"""From the end of the first tenth to the end: until then each path is loaded for the first time."""

_KEYS = 1000, 100


def _look(
    name: str,
    inputs: st.SearchStrategy[Any],
    check: Callable[[Any], object],
    many: int,
    asked: argparse.Namespace,
    memory_mib: Callable[[], int] = rss_mib,
) -> None:
    """Raises what the check raises, and `Wrong` where memory grows."""
    began, warm_mib, now_mib = time.monotonic(), None, 0
    for done in explore(inputs, check, many, asked.seed):
        now_mib = memory_mib()
        if warm_mib is None and done * 10 >= many:
            warm_mib = now_mib
        if asked.seconds and time.monotonic() - began > asked.seconds:
            many = done
            break
    took_s = time.monotonic() - began
    print(f"{name}: {many} in {took_s:.0f} s, memory {warm_mib} → {now_mib} MiB", flush=True)
    if warm_mib is not None and now_mib - warm_mib > MOST_GROWTH_MIB:
        raise Wrong(f"{name}: memory grew from {warm_mib} to {now_mib} MiB")


def _everything(asked: argparse.Namespace, folder: Path) -> None:
    with valkey(folder) as url:
        with Fleet(url) as fleet:
            shared, own = (max(1, int(many * asked.bodies / 100_000)) for many in _KEYS)
            _look(
                "keys of no model",
                st.tuples(DEEDS, COMMANDS),
                lambda both: fleet.shared(*both),
                shared,
                asked,
            )
            _look("keys of a model", OWN_DEEDS, fleet.own, own, asked)
        with Sockets(url, folder) as sockets:
            many = asked.sockets
            _look("bodies over sockets", sockets.INPUTS, sockets.ask, many, asked, sockets.rss_mib)
            _look("raw bytes over sockets", sockets.RAW, sockets.send, many, asked, sockets.rss_mib)
    with Edge() as edge:
        for name, target in targets(edge).items():
            _look(name, target.inputs, target.check, int(target.share * asked.bodies), asked)


def main() -> int:
    """Looks; 1 where something was found."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--bodies", type=int, default=10_000, help="of others a part of it")
    parser.add_argument("--sockets", type=int, default=1000, help="bodies, and raw bytes too")
    parser.add_argument("--seconds", type=float, default=0, help="the most for each kind; 0: all")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="llamaq-fuzz-") as folder:
        _everything(asked, Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
