"""Round robin: a worker is chosen when a job comes, whatever it does; each server has a queue."""

from collections import deque
from collections.abc import Sequence
from itertools import cycle
from random import Random

from bench.simulate.machines import Machine
from bench.simulate.policies.adapter import Hands, Simple, Times
from bench.simulate.words import Job


class RoundRobin(Simple):
    """What most gateways do by default. Workers that are known to be gone are left out."""

    def __init__(self, fleet: list[Machine], hands: Hands, times: Times, random: Random) -> None:
        self._hands = hands
        self._push_ms = times.push_ms
        self._fleet = fleet
        self._turns = cycle(fleet)
        self._queues: list[deque[Job]] = [deque() for _ in fleet]
        self._gone: set[int] = set()

    def arrive(self, job: Job, now_ms: float) -> None:
        """Gives it to the next worker."""
        machine = next(self._turns)
        for _ in self._fleet:
            if machine.index not in self._gone:
                break
            machine = next(self._turns)
        self._queues[machine.index].append(job)
        self._serve(machine)

    def ended(self, machine: Machine, job: Job, cost: int, now_ms: float) -> None:
        """The server takes the next job of its queue."""
        self._serve(machine)

    def lost(self, machine: Machine, jobs: Sequence[Job], now_ms: float) -> None:
        """All that it had is given to others."""
        self._gone.add(machine.index)
        queue = self._queues[machine.index]
        moved = [*jobs, *queue]
        queue.clear()
        for job in moved:
            self.arrive(job, now_ms)

    def returned(self, machine: Machine, now_ms: float) -> None:
        """It takes part again."""
        self._gone.discard(machine.index)
        self._serve(machine)

    def _serve(self, machine: Machine) -> None:
        queue = self._queues[machine.index]
        while queue and machine.free:
            self._hands.start(machine, queue.popleft(), self._push_ms)
