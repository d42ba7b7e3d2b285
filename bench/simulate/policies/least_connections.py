"""Least connections with as many as there are slots: HAProxy's `leastconn` and `maxconn`."""

from collections import deque
from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from random import Random

from bench.simulate.machines import Machine
from bench.simulate.policies.adapter import Hands, Simple, Times
from bench.simulate.words import Job


class LeastConnections(Simple):
    """The least busy worker takes a job, of equal ones the one that had none for longest; when
    all are full jobs wait in one queue, and the next free slot takes the oldest.
    """

    def __init__(self, fleet: list[Machine], hands: Hands, times: Times, random: Random) -> None:
        self._hands = hands
        self._push_ms = times.push_ms
        self._fleet = fleet
        self._jobs: deque[Job] = deque()
        self._gone: set[int] = set()
        self._used = random.sample(range(len(fleet)), len(fleet))
        self._uses = len(fleet)
        # Connections, last use and index; rows that are out of date are passed over.
        self._least = [(0, used, index) for index, used in enumerate(self._used)]
        heapify(self._least)

    def arrive(self, job: Job, now_ms: float) -> None:
        """Gives it to the least busy worker, or queues it."""
        self._jobs.append(job)
        self._serve()

    def ended(self, machine: Machine, job: Job, cost: int, now_ms: float) -> None:
        """The slot takes the oldest job."""
        self._note(machine)
        self._serve()

    def lost(self, machine: Machine, jobs: Sequence[Job], now_ms: float) -> None:
        """Its jobs go to the front."""
        self._gone.add(machine.index)
        self._jobs.extendleft(reversed(jobs))
        self._serve()

    def returned(self, machine: Machine, now_ms: float) -> None:
        """It takes part again."""
        self._gone.discard(machine.index)
        self._note(machine)
        self._serve()

    def _serve(self) -> None:
        while self._jobs and self._least:
            busy, used, index = heappop(self._least)
            machine = self._fleet[index]
            if busy != len(machine.runs) or used != self._used[index] or index in self._gone:
                continue
            if machine.free:
                self._uses += 1
                self._used[index] = self._uses
                self._hands.start(machine, self._jobs.popleft(), self._push_ms)
                self._note(machine)

    def _note(self, machine: Machine) -> None:
        if machine.free:
            row = len(machine.runs), self._used[machine.index], machine.index
            heappush(self._least, row)
