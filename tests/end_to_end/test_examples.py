"""Every example runs against real llama.cpp servers, and shows what it says."""

import os
import re
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from testing.builders import make_token
from tests.end_to_end.conftest import Fleet

pytestmark = pytest.mark.real

FOLDER = Path(__file__).parents[2] / "examples"
SHOWS = {
    "chat_stream.py": r"\S+ answers for tiny:\n.+",
    "messages.py": r".+\n\d+ tokens read, \d+ written",
    "many_at_once.py": r"\S+: \d+ answers",
    "send_twice.py": r"The second answer is that of \S+\.",
    "autocomplete.py": r"'def area': .*\n.*\n.*\n'def area\(radius\): return': '(?!\().+'",
    "what_did_it_cost.py": r"\S+, 20.* to 20.*\ntiny +\d+ requests .*\nin all +\d+ requests",
}


@pytest.fixture
def environment(fleet: Fleet) -> dict[str, str]:
    token = make_token(sub=f"user-{uuid4()}", models=["tiny"])
    told = {"LLAMAQ_URL": fleet.url, "LLAMAQ_TOKEN": token}
    return {**os.environ, **told, "REQUESTS": "12"}


def run(environment: dict[str, str], name: str) -> str:
    """What the example shows."""
    done = subprocess.run(
        [sys.executable, str(FOLDER / name)],
        **{"env": environment, "capture_output": True, "text": True, "timeout": 120},
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("name", SHOWS)
def test_example_shows_what_it_says(environment: dict[str, str], name: str) -> None:
    if name == "what_did_it_cost.py":
        run(environment, "send_twice.py")
    shown = run(environment, name)
    assert re.search(SHOWS[name], shown), shown


def test_every_example_is_named_and_tried() -> None:
    files = {file.name for file in FOLDER.iterdir()} - {"README.md"}
    assert files == set(SHOWS)
    page = (FOLDER / "README.md").read_text()
    assert all(f"({name})" in page for name in files)
