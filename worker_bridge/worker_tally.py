"""Counts what one worker has done."""

from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dispatcher import metrics
from dispatcher.cost import Usage
from dispatcher.metric import Distribution
from worker_bridge.ends import End
from worker_bridge.server_state import ServerState

if TYPE_CHECKING:
    from worker_bridge.registration import Registration


class WorkerTally:
    """What a worker has done since this process began, also under earlier registrations.

    While it serves it has a `state` and a `registration`.
    """

    def __init__(self) -> None:
        self._ends = [0] * (1 + len(End))
        self.durations = Distribution(metrics.LONG_S)
        self.prompt = self.cached = self.completion = 0
        self.openings = self.lost_leases = 0
        self.state: ServerState | None = None
        self.registration: Registration | None = None

    def note(self, end: End, took_s: float, used: Usage) -> None:
        """An attempt has ended, after so long."""
        self._ends[end._value_] += 1  # else it would be hashed, which takes a call
        self.prompt += used.prompt
        self.cached += used.cached
        self.completion += used.completion
        if end is End.DONE:
            self.durations.counts[bisect_left(metrics.LONG_S, took_s)] += 1
            self.durations.sum += took_s

    def ended(self, end: End) -> int:
        """How many attempts have ended so."""
        return self._ends[end._value_]


@contextmanager
def serving(
    tally: WorkerTally | None, state: ServerState, registration: "Registration"
) -> Iterator[None]:
    """As long as it is entered the worker serves. What its parts have counted then stays."""
    if tally is None:
        yield
        return
    tally.state, tally.registration = state, registration
    try:
        yield
    finally:
        tally.openings += state.breaker.openings
        tally.lost_leases += registration.lost_leases
        tally.state = tally.registration = None
