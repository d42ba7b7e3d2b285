"""`scripts/audit` tells what is known, and when nobody could be asked. Its lock has hashes."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose pip-audit does what `audit` says."""
    for name in ("scripts/audit", "scripts/audit.lock", "requirements.lock"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    for name in ("scripts/install", ".venv-audit/bin/pip-audit"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text('#!/bin/sh\n[ ! -f audit ] || . ./audit "$@"\n')
        (tmp_path / name).chmod(0o755)
    (tmp_path / ".venv-audit/.installed").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("says", "status", "told"),
    [
        ("exit 0", 0, "no vulnerability is known of the "),
        ("echo CVE-2099-1 >$report; exit 1", 1, "CVE-2099-1"),
        ("echo no network >&2; exit 1", 2, "NOT AUDITED"),
    ],
)
def test_exit_status_says_what_is_known(checkout: Path, says: str, status: int, told: str) -> None:
    find = 'report=$(echo "$@" | sed "s/.*--output \\([^ ]*\\).*/\\1/")\n'
    (checkout / "audit").write_text(f'case "$0" in *pip-audit) {find} {says} ;; esac\n')
    ended = subprocess.run([checkout / "scripts/audit"], capture_output=True, text=True)
    assert (ended.returncode, told in ended.stdout + ended.stderr) == (status, True)


@pytest.mark.parametrize("name", ["sbom", "audit"])
def test_program_is_pinned_with_what_it_needs(name: str) -> None:
    lock = (ROOT / f"scripts/{name}.lock").read_text()
    packages = re.split(r"^(?=[a-z])", lock, flags=re.M)[1:]
    assert len(packages) > 20
    assert all("--hash=sha256:" in package and "==" in package for package in packages)
    assert "://" not in lock
