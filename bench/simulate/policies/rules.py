"""Rules for slow workers, to compare: docs/adr/0006."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from dispatcher.patience import EAGER, Load, Patience, Speed, patience

Rule = Callable[[str, Mapping[str, Speed], Load, float], Patience]
"""From who asks, the fleet, its load, and how many jobs come in a second."""


def root(me: str, fleet: Mapping[str, Speed], load: Load, per_s: float) -> Patience:
    """What llamaq does."""
    return patience(me, fleet, load)


def eager(me: str, fleet: Mapping[str, Speed], load: Load, per_s: float) -> Patience:
    """Everybody takes everything."""
    return EAGER


def selfish(me: str, fleet: Mapping[str, Speed], load: Load, per_s: float) -> Patience:
    """A job is left while that is best for itself."""
    return replace(patience(me, fleet, load), backlog_factor=1)


def busy_period(me: str, fleet: Mapping[str, Speed], load: Load, per_s: float) -> Patience:
    """The queue counts for what comes while it is worked off, at the rate at which jobs come."""
    found = patience(me, fleet, load)
    return replace(found, backlog_factor=1 / max(0.01, 1 - per_s * found.turn_ms / 1000))
