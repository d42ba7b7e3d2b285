"""Each mistake of docs/errors.md is made here, and what is said of it is what the page tells."""

from pathlib import Path

import pytest

from tests.mistakes import of_clients, on_the_command_line, with_llama_servers, with_redis
from tests.mistakes.making import MISTAKES, Place
from tests.mistakes.page import Row, rows

pytestmark = pytest.mark.real

assert {of_clients, on_the_command_line, with_llama_servers, with_redis}  # they fill MISTAKES
ROWS = list(rows())


def test_page_has_every_mistake_that_is_made_here_once() -> None:
    told = [row.mistake for row in ROWS]
    assert sorted(told) == sorted(MISTAKES)
    assert len(told) >= 30


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.mistake.replace(" ", "-"))
def test_mistake_ends_as_the_page_says(
    row: Row, tmp_path: Path, real_redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = MISTAKES[row.mistake](Place(row, tmp_path, real_redis_url, monkeypatch))
    assert len(row.sentence.findall(outcome.said)) == 1, outcome.said
    assert outcome.end == row.end
    assert "Traceback" not in outcome.said
