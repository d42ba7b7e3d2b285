"""What a policy is told, and what it can do."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from bench.simulate.machines import Machine
from bench.simulate.words import Job


@dataclass(frozen=True, slots=True)
class Times:
    """What handing over a job costs, in milliseconds: by a claim, and by a proxy.

    Speeds are measured wrong by up to `misjudged`: by a factor between 1 / (1 + it) and 1 + it.
    """

    claim_ms: float = 5
    push_ms: float = 0.2
    misjudged: float = 0


class Hands(Protocol):
    """What a policy can do."""

    def start(self, machine: Machine, job: Job, after_ms: float) -> None:
        """Runs a job in a free slot, which it takes now; the server begins `after_ms` later."""

    def wake(self, machine: Machine, at_ms: float) -> None:
        """Has `woken` called at that time."""

    def look(self, at_ms: float) -> None:
        """Has `look` called at that time, if jobs are left then."""


class Policy(Protocol):
    """Decides which worker does which job."""

    def arrive(self, job: Job, now_ms: float) -> None:
        """A job comes."""

    def ended(self, machine: Machine, job: Job, cost: int, now_ms: float) -> None:
        """A worker has done a job; its slot is free."""

    def lost(self, machine: Machine, jobs: Sequence[Job], now_ms: float) -> None:
        """It is noticed that a worker is gone, and with it the jobs that it was doing."""

    def returned(self, machine: Machine, now_ms: float) -> None:
        """A worker is there again, with all slots free."""

    def woken(self, machine: Machine, now_ms: float) -> None:
        """What `Hands.wake` was asked for."""

    def look(self, now_ms: float) -> None:
        """What `Hands.look` was asked for."""


class Simple:
    """What policies have in common that never look up."""

    def woken(self, machine: Machine, now_ms: float) -> None:
        """Nothing: no wake was asked for."""

    def look(self, now_ms: float) -> None:
        """Nothing: no look was asked for."""
