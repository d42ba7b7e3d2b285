"""Counts what one worker has done, for the metrics of its process."""

from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager

from dispatcher.cost import Usage
from dispatcher.metric import Distribution
from dispatcher.metrics import LONG_S
from worker_bridge.ends import End
from worker_bridge.lease import Lease
from worker_bridge.server_state import ServerState


class WorkerMetrics:
    """What a worker has done since this process began, also under earlier registrations.

    It has a `state` and a `lease` only while it serves.
    """

    def __init__(self) -> None:
        self._ends = [0] * (1 + len(End))
        self.durations = Distribution(LONG_S)
        self.prompt = self.cached = self.completion = 0
        self.openings = self.lost_leases = 0
        self.state: ServerState | None = None
        self.lease: Lease | None = None

    def note(self, end: End, took_s: float, used: Usage) -> None:
        """Counts an attempt that has ended."""
        self._ends[end._value_] += 1  # else it would be hashed, which takes a call
        self.prompt += used.prompt
        self.cached += used.cached
        self.completion += used.completion
        if end is End.DONE:
            self.durations.counts[bisect_left(LONG_S, took_s)] += 1
            self.durations.sum += took_s

    def ended(self, end: End) -> int:
        """How many attempts have ended like this."""
        return self._ends[end._value_]


@contextmanager
def serving(metrics: WorkerMetrics | None, state: ServerState, lease: Lease) -> Iterator[None]:
    """The worker serves inside of this. At its end, what its parts have counted is kept."""
    if metrics is None:
        yield
        return
    metrics.state, metrics.lease = state, lease
    try:
        yield
    finally:
        metrics.openings += state.breaker.openings
        metrics.lost_leases += lease.lost
        metrics.state = metrics.lease = None
