"""An upgrade under load, process by process: does any request fail?

It runs an earlier commit beside this tree, on one Redis with real llama.cpp servers: first the
bridges are replaced and then the APIs, once more the other way round, and then back to the earlier
one. It exits with 1 where an answer is not whole.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.environments import Installed, revision, this_tree
from llamaq.demo_model import write_demo_model
from testing.crowd import Crowd
from tests.upgrade.stage import Stage, a_stage

CLIENTS = 6
ORDERS = (("bridges", "APIs"), ("APIs", "bridges"))


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.upgrade", description=__doc__)
    parser.add_argument("--from", dest="before", required=True, help="a tag or a commit")
    before, after = revision(parser.parse_args().before), this_tree()
    with TemporaryDirectory(prefix="llamaq-upgrade-") as place:
        model = Path(place) / "small.gguf"
        write_demo_model(model, size="small")
        return max(
            _upgrade(Path(place) / f"{number}", model, order, builds)
            for number, (order, builds) in enumerate(
                [*((order, (before, after)) for order in ORDERS), (ORDERS[0], (after, before))]
            )
        )


def _upgrade(
    folder: Path, model: Path, order: tuple[str, ...], builds: tuple[Installed, Installed]
) -> int:
    folder.mkdir()
    old, new = (build.commit[:7] for build in builds)
    with a_stage(folder, model, builds[0]) as stage:
        crowd = stage.stack.enter_context(Crowd(stage.urls, "small", CLIENTS))
        crowd.wait_for_more()
        stage.build = builds[1]
        for kind in order:
            for number in range(2):
                _replace(stage, kind, number)
                crowd.wait_for_more()
        broken = crowd.end()
        answered = Counter(asked.worker for asked in crowd.asked)
    counts = f"{len(crowd.asked)} requests, {len(broken)} of them not whole"
    print(f"{old} → {new}, {' before '.join(order)}: {counts}")
    print("  by worker: " + ", ".join(f"{name} {count}" for name, count in answered.items()))
    for asked in broken[:5]:
        print(f"  {asked.said!r}", file=sys.stderr)
    return bool(broken)


def _replace(stage: Stage, kind: str, number: int) -> None:
    if kind == "bridges":
        stage.start_bridge(number)
    else:
        stage.start_api(number)


if __name__ == "__main__":
    sys.exit(main())
