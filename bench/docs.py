"""Writes docs/benchmarks.md and its plots."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.plots import draw
from bench.report import Found, table

DOCS = Path(__file__).parents[1] / "docs"
_PLOTS = "benchmarks"
_HEAD = """\
# What llamaq costs

This is what `scripts/bench` printed and drew; it is not written by hand.

{about}

## How to read it

- All systems stand in front of the same servers, and take turns. Each turn has prompts that no
  other turn had, so no cache and no affinity flatters anybody.
- The servers are stand-ins that cost little and number their tokens: every answer is compared. Only
  `real` has llama.cpp servers.
- CPU time is that of all processes of a system, Redis included. That of the load generator and of
  the servers is not in it. A fixed work is timed before and after each load. CPU times are told as
  if it had always cost the same, since a shared machine is faster in some minutes than in others.
- The bars are medians of the runs, the black lines go from the least to the most.
- A ratio is that of the medians. *better* and *worse* mean that the runs of the two systems don't
  overlap. Where the runs of one system spread too far, or other programs took too much, nothing is
  judged.
- `direct` is the first server alone.

## How to make it

```sh
scripts/bench --against REV --write-docs     # a commit to compare with; needs Debian's haproxy
scripts/bench --scenarios idle --idle-s 600  # one of them alone; --help tells the rest
scripts/bench counts                         # what noise can't move; tests/counts holds it
```
"""


def write_docs(about: Sequence[str], found: Sequence[Found], baselines: Sequence[str]) -> None:
    """Writes the page and a plot for each scenario; removes the plots of earlier ones."""
    folder = DOCS / _PLOTS
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.svg"):
        old.unlink()
    for each in found:
        (folder / f"{each.scenario.name}.svg").write_text(draw(each))
    text = "\n".join(_lines(about, found, baselines))
    (DOCS / "benchmarks.md").write_text(text + "\n")


def _lines(about: Sequence[str], found: Sequence[Found], baselines: Sequence[str]) -> Iterator[str]:
    yield _HEAD.format(about="\n".join(f"- {line}" for line in about))
    for each in found:
        name = each.scenario.name
        yield f"## {name}: {each.scenario.about}\n"
        yield f"![{name}]({_PLOTS}/{name}.svg)\n"
        yield from table(each, baselines)
        yield ""
