"""FIFO pull: one queue; the worker that has been idle for longest takes the oldest job."""

from collections import OrderedDict, deque
from collections.abc import Sequence
from random import Random

from bench.simulate.machines import Machine
from bench.simulate.policies.adapter import Hands, Simple, Times
from bench.simulate.words import Job


class FifoPull(Simple):
    """What a list and BLPOP would do."""

    def __init__(self, fleet: list[Machine], hands: Hands, times: Times, random: Random) -> None:
        self._hands = hands
        self._claim_ms = times.claim_ms
        self._jobs: deque[Job] = deque()
        order = random.sample(fleet, len(fleet))
        self._idle = OrderedDict((machine.index, machine) for machine in order)

    def arrive(self, job: Job, now_ms: float) -> None:
        """Queues it, for the next who is idle."""
        self._jobs.append(job)
        self._serve()

    def ended(self, machine: Machine, job: Job, cost: int, now_ms: float) -> None:
        """The worker takes the next job."""
        self.returned(machine, now_ms)

    def lost(self, machine: Machine, jobs: Sequence[Job], now_ms: float) -> None:
        """Its jobs go to the front."""
        self._idle.pop(machine.index, None)
        self._jobs.extendleft(reversed(jobs))
        self._serve()

    def returned(self, machine: Machine, now_ms: float) -> None:
        """It is idle."""
        self._idle.setdefault(machine.index, machine)
        self._serve()

    def _serve(self) -> None:
        while self._jobs and self._idle:
            index, machine = self._idle.popitem(last=False)
            if machine.free:
                self._hands.start(machine, self._jobs.popleft(), self._claim_ms)
            if machine.free:
                self._idle[index] = machine
