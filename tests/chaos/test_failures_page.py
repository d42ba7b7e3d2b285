"""docs/failures.md names tests that there are."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_tests_that_the_page_names_exist() -> None:
    page = (ROOT / "docs" / "failures.md").read_text()
    named = re.findall(r"`(tests/\S+\.py)::(\w+)`", page)
    assert len(named) > 25
    for path, name in named:
        assert f"def {name}(" in (ROOT / path).read_text(), f"{path}::{name}"
