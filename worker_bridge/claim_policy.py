"""How many jobs a worker takes, and which ones it leaves to faster workers."""

from dispatcher.commands import Offer
from dispatcher.constants import SIDE_PLACES
from dispatcher.fleet import Fleet
from dispatcher.patience import EAGER, patience
from worker_bridge.breaker import Mode
from worker_bridge.server_state import ServerState


class ClaimPolicy:
    """Decides what each claim of a worker asks for."""

    def __init__(self, worker: str, state: ServerState) -> None:
        self.patience = EAGER
        self._worker = worker
        self._state = state

    @property
    def offer(self) -> Offer:
        """How many jobs the worker may take now. Those that need no slot try no server."""
        return Offer(self._state.most, SIDE_PLACES if self._state.accepting else 0)

    @property
    def offer_after_an_end(self) -> Offer:
        """As `offer`, with the finish of an attempt: a trial begins by a claim of its own."""
        is_trusted = self._state.breaker.mode is Mode.CLOSED
        return self.offer if is_trusted else self.offer._replace(slots=0)

    def heed(self, fleet: Fleet) -> None:
        """Keeps in mind how fast the others are, and so which jobs to leave to them."""
        self.patience = patience(self._worker, fleet.speeds, fleet.load)
