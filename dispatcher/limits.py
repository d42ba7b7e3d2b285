"""What a tenant may use per time. Pure."""

from collections.abc import Callable
from dataclasses import dataclass

COUNTED = "requests_per_minute", "tokens_per_day", "tokens_per_month", "concurrent"
"""The limits that are numbers."""

LARGEST = 10**15


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one tenant; 0 is none.

    `models` are names of the models that it may use, as operators or workers give them; None for
    all.
    """

    requests_per_minute: int = 0
    tokens_per_day: int = 0
    tokens_per_month: int = 0
    concurrent: int = 0
    models: frozenset[str] | None = None

    @property
    def counts(self) -> bool:
        """Whether one of them is a number."""
        return any(getattr(self, name) for name in COUNTED)

    @property
    def counts_tokens(self) -> bool:
        """Whether one of them is a number of tokens."""
        return bool(self.tokens_per_day or self.tokens_per_month)


@dataclass(frozen=True, slots=True)
class Account:
    """Whom a request counts for: a tenant with all its end users, or one `user` of it."""

    tenant: str
    user: str
    limits: Limits


def smaller(one: int, other: int) -> int:
    """The smaller one of two limits.

    >>> smaller(3, 5), smaller(0, 5), smaller(3, 0)
    (3, 5, 3)
    """
    return min(one, other) if one and other else one or other


def pairwise(one: Limits, other: Limits, choose: Callable[[int, int], int]) -> Limits:
    """Of each number the one that `choose` takes of two; their models are left out.

    >>> pairwise(Limits(9, concurrent=4), Limits(5), smaller)
    Limits(requests_per_minute=5, tokens_per_day=0, tokens_per_month=0, concurrent=4, models=None)
    """
    minute, day, month, concurrent = (
        choose(getattr(one, name), getattr(other, name)) for name in COUNTED
    )
    return Limits(minute, day, month, concurrent)
