"""A bare Debian in a folder, and its one user."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# What README.md says: Python ≥ 3.11 and libgomp1. Debian has `venv` in a package of its own.
PACKAGES = "python3,python3-venv,libgomp1"
USER = 1000
HOME = "/home/user"


@dataclass(frozen=True, slots=True)
class Debian:
    """One that is there. `run` does as its user would, in the checkout."""

    root: Path

    def put_checkout(self, tree: Path) -> None:
        """What git has or would add, as a user's clone has it."""
        home = self.root / HOME[1:] / "llamaq"
        listed = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
        files = subprocess.run(listed, cwd=tree, capture_output=True, text=True, check=True).stdout
        for name in files.split("\0"):
            if name and (tree / name).is_file():
                (home / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(tree / name, home / name)
        subprocess.run(["chown", "-R", f"{USER}:{USER}", self.root / HOME[1:]], check=True)

    def put_wheels(self, folder: Path) -> None:
        """The packages, at `/wheels`."""
        shutil.copytree(folder, self.root / "wheels")

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Without a network, but for its own loopback."""
        told = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/wheels", "HOME": HOME, "TERM": "dumb"}
        words = [f"{name}={value}" for name, value in told.items()]
        script = (
            f"ip link set lo up && mount -t proc proc {self.root}/proc && "
            f"exec chroot --userspec={USER}:{USER} {self.root} env -i PATH=/usr/bin:/bin "
            + " ".join(words)
            + """ sh -c 'cd "$HOME/llamaq" && exec "$@"' sh "$@\""""
        )
        apart = ["unshare", "--net", "--mount", "--pid", "--fork", "sh", "-c", script, "sh"]
        return subprocess.run([*apart, *command], capture_output=True, text=True, timeout=500)


@contextmanager
def bare(root: Path, suite: str) -> Iterator[Debian]:
    """A new one of this suite."""
    make = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", suite, str(root)]
    done = subprocess.run(make, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"debootstrap {suite} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    (root / HOME[1:]).mkdir(parents=True)
    try:
        yield Debian(root)
    finally:
        shutil.rmtree(root, ignore_errors=True)
