"""Runs `scripts/demo --once` on bare Debians without a network: how much CPU time does it take?

Each Debian is made by debootstrap, with what README.md says that it needs. Its user is not root,
and finds all packages in one folder. It exits with 1 where no answer comes, or more than 30 s of
CPU time are used.
"""

import argparse
import os
import resource
import shutil
import sys
import tempfile
from pathlib import Path

from tests.bare.debian import bare
from tests.bare.wheels import download

ROOT = Path(__file__).parents[2]
SUITES = ("bookworm", "trixie")
MOST_CPU_S = 30.0


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="scripts/try-bare", description=__doc__)
    parser.add_argument(
        "suites", nargs="*", metavar="SUITE", help=f"of Debian: {', '.join(SUITES)}"
    )
    suites = parser.parse_args().suites
    if os.geteuid() or not shutil.which("debootstrap"):
        print("needs root and debootstrap (Debian: apt-get install debootstrap)", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="llamaq-bare-") as place:
        return max(_try(Path(place), suite) for suite in suites or SUITES)


def _try(place: Path, suite: str) -> int:
    with bare(place / suite, suite) as debian:
        debian.put_checkout(ROOT)
        version = debian.run("python3", "--version").stdout.split()[1]
        wheels = place / f"wheels-{suite}"
        download(ROOT / "requirements-demo.lock", version, wheels)
        debian.put_wheels(wheels)
        before = _children_cpu_s()
        done = debian.run("scripts/demo", "--once")
        cpu_s = _children_cpu_s() - before
    print(f"== {suite}, Python {version}: exit code {done.returncode}, {cpu_s:.1f} s of CPU time")
    print(done.stdout[-1500:])
    if done.returncode:
        print(done.stderr[-3000:], file=sys.stderr)
    return int(done.returncode != 0 or cpu_s > MOST_CPU_S)


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
