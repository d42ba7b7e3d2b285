"""The counts that are held, and what has become of them."""

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.counts.longest import longest_scripts
from bench.counts.measure import Counts, measure

HELD = Path(__file__).with_name("held.json")
WITHIN = 0.03
LEAST = 0.1  # of a small count: whole calls and writes are held, not how pieces fall
RENEW = "scripts/bench counts --write"


def held() -> tuple[str, Counts]:
    """The version of Python that they were counted with, and the counts."""
    about = json.loads(HELD.read_text())
    return about["python"], about["counts"]


def write(counts: Counts) -> None:
    """Holds these from now on."""
    about = {"python": python_version(), "counts": counts}
    HELD.write_text(json.dumps(about, indent=1) + "\n")


def python_version() -> str:
    """Such as 3.11: another one makes other calls in its own library."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def moved(before: Counts, now: Counts, python: str) -> Iterator[str]:
    """A sentence for each count that is more than 3 % off.

    Calls are only compared if they were counted with the same version of Python.
    """
    same_python = python == python_version()
    for load in {**before, **now}:
        old, new = before.get(load, {}), now.get(load, {})
        for name in sorted({**old, **new}):
            if name.startswith("Python") and not same_python:
                continue
            was, is_ = old.get(name, 0), new.get(name, 0)
            if abs(is_ - was) > max(WITHIN * was, LEAST):
                verb = "grew" if is_ > was else "shrank"
                yield f"{name}, {load}: {verb} from {was:g} to {is_:g}"


def main(arguments: list[str]) -> None:
    """Counts, and prints the table; with `--write` holds what it counted."""
    if arguments not in ([], ["--write"]):
        sys.exit("usage: scripts/bench counts [--write]")
    now = measure()
    before = held()[1] if HELD.exists() else {}
    for load, counts in now.items():
        print(f"{load}:")
        for name, number in counts.items():
            print(f"  {number:9.3f}  (held {before.get(load, {}).get(name, 0):9.3f})  {name}")
    print("Redis is blocked, ms:")
    for name, ms in asyncio.run(longest_scripts()).items():
        print(f"  {ms:9.3f}  {name}")
    if arguments:
        write(now)
        print(f"written to {HELD}")
