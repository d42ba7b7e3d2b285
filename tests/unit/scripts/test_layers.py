"""What the tests, the benchmarks and their helpers import: no circle."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PRODUCT = "api", "dispatcher", "worker_bridge", "llamaq"
BELOW = [
    ("testing", ("tests", "bench")),
    ("bench", ("tests",)),
    *((product, ("tests", "bench", "testing")) for product in PRODUCT),
]
IMPORT = re.compile(r"^\s*(?:from|import) (\w+)[. ]", re.MULTILINE)


@pytest.mark.parametrize(("package", "above"), BELOW, ids=str)
def test_nothing_imports_what_is_above_it(package: str, above: tuple[str, ...]) -> None:
    files = subprocess.run(
        ["git", "ls-files", f"{package}/*.py"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert files
    wrong = {
        file: names
        for file in files
        if (names := set(IMPORT.findall((ROOT / file).read_text())) & set(above))
    }
    assert wrong == {}
