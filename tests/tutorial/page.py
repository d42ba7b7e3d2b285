"""What docs/tutorial.md has its reader do: the comments say on which machine, and what shows."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_STEP = re.compile(
    r"^<!-- (?P<machines>[\w, ]+): (?P<how>.+?) -->\n(?:```sh\n(?P<block>.*?)^```$)?", re.M | re.S
)


@dataclass(frozen=True, slots=True)
class Step:
    """On these machines the reader types the block; `how` tells what is to come of it."""

    machines: Sequence[str]
    how: str
    block: str

    @property
    def shown(self) -> list[str]:
        """The patterns of what is shown then."""
        return re.findall(r'"(.+?)"(?= and |$)', self.how)


def steps(page: str) -> Iterator[Step]:
    """In their order."""
    for found in _STEP.finditer(page):
        machines = [name.strip() for name in found["machines"].split(",")]
        yield Step(machines, found["how"], (found["block"] or "").strip())


def blocks(page: str) -> list[str]:
    """All that the reader may type."""
    return [block.strip() for block in re.findall(r"^```sh\n(.*?)^```$", page, re.M | re.S)]
