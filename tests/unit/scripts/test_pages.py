"""Pages name tests and other pages that there are."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("page", "least"), [("docs/failures.md", 25), ("docs/attacks.md", 35), ("SECURITY.md", 15)]
)
def test_tests_that_the_page_names_exist(page: str, least: int) -> None:
    named = re.findall(r"`(tests/\S+\.py)::(\w+)`", (ROOT / page).read_text())
    assert len(named) > least
    for path, name in named:
        assert f"def {name}(" in (ROOT / path).read_text(), f"{path}::{name}"


def test_pages_that_security_names_exist() -> None:
    named = re.findall(r"\]\(([^)\s]+)\)", (ROOT / "SECURITY.md").read_text())
    assert len(named) > 5
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_page_of_attacks_has_each_that_once_worked() -> None:
    page = (ROOT / "docs" / "attacks.md").read_text()
    rows = set(re.findall(r"^\| ([HML]\d?) \|", page, re.MULTILINE))
    known = {*("H1", "H2", "H3", "H4", "H5", "L"), *(f"M{n}" for n in range(1, 9))}
    assert rows == known


def test_files_and_folders_that_architecture_names_are_there() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout
    there = {f"/{file}" for file in listed.split()}
    there |= {f"{parent}/" for file in there for parent in Path(file).parents}
    page = (ROOT / "ARCHITECTURE.md").read_text()
    named = set(re.findall(r"`([a-z_][\w/.-]*(?:\.(?:py|lua|js|json)|/))`", page))
    assert len(named) > 300
    assert [name for name in sorted(named) if not any(f.endswith(f"/{name}") for f in there)] == []
