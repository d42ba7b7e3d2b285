"""One model's queue: what the scripts do, in Python. Pure."""

from math import ceil

from bench.reference.choice import Choice
from bench.reference.state import State
from bench.reference.turns import Entry
from bench.reference.worker import Claimed
from dispatcher.constants import CRASH_COST, FEW_TOKENS, KEYED, SIDE_PLACES, SLACK_PARTS
from dispatcher.patience import EAGER, Patience


class ReferenceQueue(State):
    """One model's queue. `max_running` bounds its running jobs; 0: no bound."""

    def __init__(self, max_running: int = 0) -> None:
        super().__init__()
        self._max_running = max_running
        self._sequence = 0
        self._remembered: dict[str, tuple[str, int, int, str]] = {}

    def enqueue(self, entry: Entry, now_ms: int) -> None:
        """A job comes."""
        self._sequence += 1
        entry.sequence, entry.enqueued_ms = self._sequence, now_ms
        self.jobs[entry.id] = entry
        self.enter(entry)
        entry.prefers, entry.cached_there = self._find_preferred(entry)
        if entry.prefers:
            self.workers[entry.prefers].prefers.set(entry.id, entry.sequence)

    def claim(
        self,
        worker: str,
        most: int,
        now_ms: int,
        patience: Patience = EAGER,
        most_sides: int = SIDE_PLACES,
    ) -> Claimed:
        """Takes up to `most` jobs for a worker's slots, and up to `most_sides` that need none."""
        choice = Choice(self, worker, now_ms, patience)
        choice.take(self._room(worker, most))
        return choice.take_sides(min(most_sides, self.workers[worker].free_sides))

    def finish(
        self, id_: str, cost: int, tokens: tuple[int, int], now_ms: int, *, done: bool = True
    ) -> None:
        """A running job has ended; its tokens of prompt and answer are given."""
        entry = self.stop(id_)
        self.blame.served.add(entry.tenant)
        self.turns.settle(entry, entry.estimate if entry.is_side else cost)
        if done and not entry.is_side:
            self.blame.went_well(entry, now_ms)
            self.learn(now_ms - entry.claimed_ms)
            if entry.prefixes:
                process = self.workers[entry.worker].process
                self._remembered[entry.prefixes[0]] = entry.worker, *tokens, process
        del self.jobs[id_]

    def release(self, id_: str, now_ms: int, *, costs: bool = False, crashed: bool = False) -> None:
        """A running job goes back to its place."""
        entry, cost = self.stop(id_), 0
        if crashed:
            worker = self.workers[entry.worker]
            there = [entry, *(self.jobs[other] for other in worker.running | worker.sides)]
            self.blame.crashed(entry.worker, there, now_ms)
            if self.blame.suspected_as((entry.tenant, entry.user), now_ms):
                cost = max(CRASH_COST, entry.estimate)
        entry.crashes += crashed
        if costs:
            entry.avoids = entry.worker
        if cost:
            self.turns.settle(entry, cost)
        else:
            self.turns.charge(entry, entry.estimate, 0)
        entry.worker = entry.prefers = ""
        entry.cached_there, entry.left_since_ms = 0, None
        self.enter(entry)

    def cancel(self, id_: str) -> None:
        """A queued job is wanted no more."""
        self.leave(self.jobs.pop(id_))

    def raise_estimate(self, id_: str, cost: int) -> None:
        """A running job has cost so much already."""
        entry = self.jobs[id_]
        if cost > entry.estimate:
            self.turns.charge(entry, entry.estimate, cost)
            entry.estimate = cost

    def _room(self, worker: str, most: int) -> int:
        room = min(most, self.workers[worker].free)
        slack = self.workers[worker].slots // SLACK_PARTS
        waiting = self.queued_for_slots
        if min(room, waiting) > 1 and len(self.workers[worker].running) + waiting > slack:
            room = min(room, self._part_of(worker, slack))
        return min(room, max(0, self._max_running - self.running)) if self._max_running else room

    def _part_of(self, name: str, slack: int) -> int:
        """How many jobs make the worker as full as its peers will be."""
        worker = self.workers[name]
        peers = [each for each in self.workers.values() if each.accepting and worker.is_peer(each)]
        slots = sum(each.slots for each in peers)
        if len(peers) < 2 or not slots:
            return self.queued_for_slots
        jobs = sum(len(each.running) for each in peers) + self.queued_for_slots
        return max(1, ceil(jobs * worker.slots / slots) + slack - len(worker.running))

    def _find_preferred(self, entry: Entry) -> tuple[str, int]:
        if entry.is_side:
            return "", 0
        for i, prefix in enumerate(entry.prefixes):
            name, prompt, completion, process = self._remembered.get(prefix, ("", 0, 0, ""))
            worker = self.workers.get(name)
            if worker and worker.process == process and worker.can_take(entry.class_):
                tokens = prompt if i == 0 or prefix.startswith(KEYED) else prompt + completion
                return (name, tokens) if tokens > FEW_TOKENS else ("", 0)
        return "", 0
