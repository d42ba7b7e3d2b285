"""How many jobs a worker takes, and which ones it leaves to faster workers."""

from dispatcher.fleet import Fleet
from dispatcher.patience import EAGER, patience
from worker_bridge.breaker import Mode
from worker_bridge.server_state import ServerState


class ClaimPolicy:
    """What each claim of a worker asks for."""

    def __init__(self, worker: str, state: ServerState) -> None:
        self.patience = EAGER
        self._worker = worker
        self._state = state

    @property
    def most(self) -> int:
        """How many jobs the worker may hold now."""
        return self._state.most

    @property
    def most_after_an_end(self) -> int:
        """As `most`, with the finish of an attempt: a trial begins by a claim of its own."""
        return self._state.most if self._state.breaker.mode is Mode.CLOSED else 0

    def heed(self, fleet: Fleet) -> None:
        """Keeps in mind how fast the others are, and so which jobs to leave to them."""
        self.patience = patience(self._worker, fleet.speeds, fleet.load)
