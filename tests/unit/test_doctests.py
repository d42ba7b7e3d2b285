"""The examples in docstrings hold, of every module that has some."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = "api", "dispatcher", "worker_bridge", "llamaq", "bench", "testing"


def modules_with_examples() -> list[str]:
    files = [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]
    return [
        ".".join(file.relative_to(ROOT).with_suffix("").parts)
        for file in files
        if ">>> " in file.read_text()
    ]


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_of_the_documentation_hold(name: str) -> None:
    failed, tried = doctest.testmod(import_module(name))
    assert tried > 0
    assert failed == 0


def test_most_modules_are_found() -> None:
    found = modules_with_examples()
    assert {name.split(".")[0] for name in found} >= set(PACKAGES[:4])
    assert len(found) > 50
