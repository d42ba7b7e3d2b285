"""The packages of a lock file as another Python needs them."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement


def download(lock: Path, python: str, folder: Path) -> None:
    """Those that a Python of this full version installs, such as 3.11.2."""
    folder.mkdir()
    chosen = folder.with_suffix(".lock")
    chosen.write_text("".join(_needed(lock.read_text(), python)))
    command = [sys.executable, "-m", "pip", "download", "-qq", "--no-deps", "--require-hashes"]
    command += ["--only-binary", ":all:", "--python-version", python.rpartition(".")[0]]
    subprocess.run([*command, "--dest", str(folder), "-r", str(chosen)], check=True)


def _needed(lock: str, python: str) -> Iterator[str]:
    """The entries of the lock file that are for this Python, without their conditions."""
    asked = {"python_full_version": python, "python_version": python.rpartition(".")[0]}
    for entry in _entries(lock):
        head, _, hashes = entry.partition(" \\\n")
        requirement = Requirement(head)
        if requirement.marker is None or requirement.marker.evaluate(asked):
            requirement.marker = None
            yield f"{requirement} \\\n{hashes}"


def _entries(lock: str) -> Iterator[str]:
    """Each requirement with the lines of its hashes."""
    entry = ""
    for line in lock.splitlines(keepends=True):
        if line.lstrip().startswith("#"):
            continue
        if entry and not line.startswith(" "):
            yield entry
            entry = ""
        entry += line
    yield entry
