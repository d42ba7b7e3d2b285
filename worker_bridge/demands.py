"""The jobs that wait for each model, as a bridge has last seen them."""

import time
from dataclasses import replace

from dispatcher.demand import Demand

NOBODY = Demand()


class Demands:
    """The latest of each model. Jobs wait on while nobody looks."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[Demand, float]] = {}
        self._served_since: dict[str, float] = {}

    def note(self, name: str, demand: Demand) -> None:
        """So it is now."""
        now = time.monotonic()
        self._seen[name] = demand, now
        if demand.slots:
            self._served_since.setdefault(name, now)
        else:
            self._served_since.pop(name, None)

    def forget(self, name: str) -> None:
        """Nobody knows any more."""
        self._seen.pop(name, None)

    def of(self, name: str) -> Demand:
        """The demand for one model by now.

        If another worker serves it, only the time since that was first seen counts: jobs may have
        waited for its load before, and it takes them now.
        """
        demand, seen_at = self._seen.get(name, (NOBODY, 0))
        if not demand.jobs:
            return demand
        now = time.monotonic()
        waited_s = demand.waited_s + now - seen_at
        served_s = now - self._served_since.get(name, float("-inf"))
        return replace(demand, waited_s=min(waited_s, served_s))
