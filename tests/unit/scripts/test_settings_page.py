"""docs/settings.md has every setting, as the code has it."""

import re
import runpy
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "settings.md"


def test_page_is_as_the_code_has_it() -> None:
    made = runpy.run_path(str(ROOT / "scripts" / "settings_page.py"))["page"]
    assert PAGE.read_text() == made(PAGE.read_text()), "run scripts/settings-page"


def test_page_has_each_variable_that_the_code_names() -> None:
    packages = "api", "dispatcher", "llamaq", "worker_bridge"
    named = {
        name
        for package in packages
        for file in (ROOT / package).rglob("*.py")
        for name in re.findall(r"\bLLAMAQ_[A-Z_]+[A-Z]\b", file.read_text())
    }
    assert len(named) > 20
    page = PAGE.read_text()
    assert {name for name in named if f"`{name}`" not in page} == set()
