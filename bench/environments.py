"""Installs the other systems, earlier commits and LiteLLM, once each.

They lie in `LLAMAQ_BENCH_CACHE`, else in `~/.cache/llamaq-bench`.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

TREE = Path(__file__).parents[1]
LITELLM = ("litellm[proxy]==1.105.7",)


@dataclass(frozen=True, slots=True)
class Installed:
    """A llamaq: its files, its Python, and the commit that it is at."""

    folder: Path
    python: str
    commit: str


def this_tree() -> Installed:
    """The working tree, with the Python that runs this."""
    changed = "+changes" if _git("status", "--porcelain", "--untracked-files=no") else ""
    return Installed(TREE, sys.executable, _git("rev-parse", "HEAD") + changed)


def revision(name: str) -> Installed:
    """An earlier commit in a worktree, with what its own lock file pins."""
    try:
        commit = _git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    except subprocess.CalledProcessError:
        raise SystemExit(f"--against {name}: there is no such commit; git log shows them") from None
    folder = cache() / "revisions" / commit
    python, stamp = folder / ".venv" / "bin" / "python", folder / ".venv" / ".installed-bench"
    if not stamp.exists():
        _say(f"making a worktree of {name} in {folder}")
        shutil.rmtree(folder, ignore_errors=True)
        _git("worktree", "add", "--force", "--detach", str(folder), commit)
        lock = folder / "requirements-run.lock"
        _install(folder / ".venv", ["--require-hashes", "-r", str(lock)])
        stamp.touch()
    return Installed(folder, str(python), commit)


def litellm() -> str:
    """The program, in an environment of its own."""
    environment = cache() / "litellm"
    stamp = environment / ".installed-bench"
    if not stamp.exists():
        _say(f"installing {LITELLM[0]} into {environment}")
        shutil.rmtree(environment, ignore_errors=True)
        _install(environment, LITELLM)
        stamp.touch()
    return str(environment / "bin" / "litellm")


def cache() -> Path:
    """The folder that all of it lies in."""
    home = os.environ.get("LLAMAQ_BENCH_CACHE") or Path.home() / ".cache" / "llamaq-bench"
    return Path(home).absolute()


def _install(environment: Path, what: Sequence[str]) -> None:
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    pip = [str(environment / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
    quiet = ["install", "--quiet", "--quiet"]  # an index that is away is no news
    done = subprocess.run([*pip, *quiet, *what], check=False)
    if done.returncode:
        raise SystemExit(f"could not install {' '.join(what)}: see above; then run this again")


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(TREE), *arguments],  # noqa: S607 - whichever git the user has
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def _say(text: str) -> None:
    print(f"== {text}", file=sys.stderr, flush=True)
