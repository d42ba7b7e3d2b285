"""Has hypothesis look for an input that does harm, in rounds, so that its own memory stays flat."""

import gc
from collections.abc import Callable, Iterator
from typing import TypeVar

import psutil
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

T = TypeVar("T")

_ROUND = 500


def explore(
    strategy: st.SearchStrategy[T], check: Callable[[T], object], examples: int, first_seed: int
) -> Iterator[int]:
    """Checks so many examples, and yields how many there were after each round.

    Raises what the check raises, for the smallest input that was found.
    """
    for done in range(0, examples, _ROUND):
        many = min(_ROUND, examples - done)
        _round(strategy, check, many, first_seed + done)
        yield done + many


def _round(
    strategy: st.SearchStrategy[T], check: Callable[[T], object], examples: int, number: int
) -> None:
    @seed(number)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def look(example: T) -> None:
        check(example)

    look()


def rss_mib(pid: int | None = None) -> int:
    """What a process holds of the memory, this one by default."""
    if pid is None:
        gc.collect()
    return int(psutil.Process(pid).memory_info().rss) >> 20
