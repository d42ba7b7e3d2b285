"""Reads docs/errors.md: each row has a mistake, what is said of it, how it ends, and what to do."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "errors.md"
GOES_ON = "goes on"
_CODE = r"(?P<ticks>`+) ?(?P<sentence>[^|]+?) ?(?P=ticks)"
_ROW = re.compile(rf"^\| (?P<mistake>[^|]+) \| {_CODE} \| (?P<end>[^|]+) \| [^|]+ \|$")


@dataclass(frozen=True, slots=True)
class Row:
    """A mistake, the sentence that is said of it, and how that ends."""

    mistake: str
    sentence: re.Pattern[str]
    end: str


def rows() -> Iterator[Row]:
    """Those of the page. In a sentence `…` stands for anything within a line."""
    for line in PAGE.read_text().splitlines():
        if line.startswith("|") and not line.startswith(("| mistake ", "|---")):
            row = _ROW.match(line)
            assert row, f"not a row of four columns: {line}"
            pattern = re.escape(row["sentence"]).replace("…", ".+")
            yield Row(row["mistake"], re.compile(pattern), row["end"])
