"""docs/failures.md and SECURITY.md name tests and pages that there are."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("page", "least"), [("docs/failures.md", 25), ("SECURITY.md", 15)])
def test_tests_that_the_page_names_exist(page: str, least: int) -> None:
    named = re.findall(r"`(tests/\S+\.py)::(\w+)`", (ROOT / page).read_text())
    assert len(named) > least
    for path, name in named:
        assert f"def {name}(" in (ROOT / path).read_text(), f"{path}::{name}"


def test_pages_that_security_names_exist() -> None:
    named = re.findall(r"\]\(([^)\s]+)\)", (ROOT / "SECURITY.md").read_text())
    assert len(named) > 5
    assert [name for name in named if not (ROOT / name).is_file()] == []
