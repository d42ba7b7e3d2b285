"""Which job a worker gets: lua/claim.lua and the scripts around it in Python. Pure."""

from bisect import insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import ceil

from dispatcher.needs import read_needs
from dispatcher.patience import EAGER, Patience
from dispatcher.reference.scores import Scores
from dispatcher.reference.turns import Entry, Turns
from dispatcher.tier import Tier

# As in lua/claim.lua and lua/queueing.lua.
FAN, DEEP, QUANTUM, SPAN, FAVOURITES, HEADS = 4, 8, 2_000_000, 2, 8, 100
PREFERRED_MS = 200


@dataclass(slots=True)
class Worker:
    """A bridge with its server. `process` changes when the server is started again."""

    slots: int
    accepting: bool = True
    context: int = 0
    modalities: frozenset[str] = frozenset()
    build: str = ""
    process: str = ""
    running: set[str] = field(default_factory=set)
    prefers: Scores = field(default_factory=Scores)

    @property
    def free(self) -> int:
        """Slots that may be given work."""
        return max(0, self.slots - len(self.running)) if self.accepting else 0

    def can_take(self, class_: str) -> bool:
        """Whether it meets the needs of a class."""
        return read_needs(class_).met_by(self.context, self.modalities, self.build)


@dataclass(slots=True)
class Claimed:
    """What a claim brought: jobs; when to claim again (0: never); whose bells it rang."""

    jobs: list[Entry] = field(default_factory=list)
    again_ms: int = 0
    called: set[str] = field(default_factory=set)


class ReferenceQueue:
    """One model's queue."""

    def __init__(self, max_running: int = 0) -> None:
        self.turns = Turns()
        self.workers: dict[str, Worker] = {}
        self.jobs: dict[str, Entry] = {}
        self.running = 0
        self._max_running = max_running
        self._busy: dict[str, int] = {}
        self._sequence = 0
        self._queued = 0
        self._flows: dict[tuple[str, str], list[tuple[int, str]]] = {}
        self._remembered: dict[str, tuple[str, str]] = {}

    @property
    def queued(self) -> int:
        """How many jobs wait."""
        return self._queued

    def enqueue(self, entry: Entry, now_ms: int) -> None:
        """A job comes."""
        self._sequence += 1
        entry.sequence, entry.enqueued_ms = self._sequence, now_ms
        self.jobs[entry.id] = entry
        self._enter(entry)
        entry.prefers = self._find_preferred(entry)
        if entry.prefers:
            entry.prefers_until_ms = now_ms + PREFERRED_MS
            self.workers[entry.prefers].prefers.set(entry.id, entry.sequence)

    def claim(self, worker: str, most: int, now_ms: int, patience: Patience = EAGER) -> Claimed:
        """Takes up to `most` jobs for a worker."""
        return Choice(self, worker, now_ms, patience).take(self._room(worker, most))

    def finish(self, id_: str, cost: int, *, done: bool = True) -> None:
        """A running job has ended."""
        entry = self._stop(id_)
        self.turns.settle(entry, cost)
        if done and entry.prefixes:
            process = self.workers[entry.worker].process
            self._remembered[entry.prefixes[0]] = entry.worker, process
        del self.jobs[id_]

    def release(self, id_: str) -> None:
        """A running job goes back to its place."""
        entry = self._stop(id_)
        self.turns.charge(entry, entry.estimate, 0)
        entry.worker = entry.prefers = ""
        entry.prefers_until_ms, entry.left_since_ms = 0, None
        self._enter(entry)

    def cancel(self, id_: str) -> None:
        """A queued job is wanted no more."""
        self.leave(self.jobs.pop(id_))

    def raise_estimate(self, id_: str, cost: int) -> None:
        """A running job has cost so much already."""
        entry = self.jobs[id_]
        if cost > entry.estimate:
            self.turns.charge(entry, entry.estimate, cost)
            entry.estimate = cost

    def leave(self, entry: Entry) -> None:
        """A job is taken out of the queue."""
        flow = self._flows[entry.class_, entry.path]
        flow.remove((entry.sequence, entry.id))
        self._queued -= 1
        left = self.turns.classes[entry.class_] - 1
        self.turns.classes[entry.class_] = left
        if not left:
            del self.turns.classes[entry.class_]
        if entry.prefers in self.workers:
            self.workers[entry.prefers].prefers.remove(entry.id)
        if not flow:
            del self._flows[entry.class_, entry.path]
            self.turns.leave(entry)

    def begin(self, entry: Entry, worker: str) -> None:
        """A job begins to run."""
        self.turns.charge(entry, 0, entry.estimate)
        self.leave(entry)
        entry.worker = worker
        self.workers[worker].running.add(entry.id)
        self.running += 1
        busy = self._busy[entry.tenant] = self._busy.get(entry.tenant, 0) + 1
        if 0 < entry.max_tenant_running <= busy:
            self.turns.park(entry.tenant)

    def oldest_of(self, classes: list[str], path: str, most: int = FAN) -> list[Entry]:
        """A user's oldest jobs, so many of each class."""
        flows = (self._flows.get((class_, path), [])[:most] for class_ in classes)
        return [self.jobs[id_] for _, id_ in sorted(place for flow in flows for place in flow)]

    def _enter(self, entry: Entry) -> None:
        insort(self._flows.setdefault((entry.class_, entry.path), []), (entry.sequence, entry.id))
        self._queued += 1
        self.turns.classes[entry.class_] = self.turns.classes.get(entry.class_, 0) + 1
        self.turns.enter(entry)

    def _stop(self, id_: str) -> Entry:
        entry = self.jobs[id_]
        self.workers[entry.worker].running.remove(id_)
        self.running -= 1
        self._busy[entry.tenant] -= 1
        self.turns.unpark(entry.tenant)
        return entry

    def _room(self, worker: str, most: int) -> int:
        room = min(most, self.workers[worker].free)
        return min(room, max(0, self._max_running - self.running)) if self._max_running else room

    def _find_preferred(self, entry: Entry) -> str:
        for prefix in entry.prefixes:
            name, process = self._remembered.get(prefix, ("", ""))
            worker = self.workers.get(name)
            if worker and worker.process == process and worker.can_take(entry.class_):
                return name
        return ""


class Choice:
    """One claim, as long as it lasts."""

    def __init__(self, queue: ReferenceQueue, worker: str, now_ms: int, patience: Patience) -> None:
        self._queue = queue
        self._name = worker
        self._worker = queue.workers[worker]
        self._now_ms = now_ms
        self._patience = patience
        self._mine = [c for c in queue.turns.classes if self._worker.can_take(c)]
        self._waiting = queue.queued
        self._looked = 0
        self._got = Claimed()

    def take(self, wanted: int) -> Claimed:
        """Takes up to `wanted` jobs."""
        while len(self._got.jobs) < wanted:
            entry = self._favourite() or self._fair()
            if entry is None:
                break
            self._queue.begin(entry, self._name)
            self._got.jobs.append(entry)
        return self._got

    def _waiting_at(self, parent: str) -> list[tuple[int, str]]:
        found: set[tuple[int, str]] = set()
        for class_ in self._mine:
            found.update(self._queue.turns.of(class_, parent).first(FAN))
        if not parent:  # of tiers that are even the more urgent one is first
            return sorted(found, key=lambda row: (row[0], -Tier(row[1]).weight))
        return sorted(found)

    def _favourite(self) -> Entry | None:
        for _, id_ in self._worker.prefers.first(FAVOURITES):
            entry = self._queue.jobs[id_]
            if self._is_near(entry):
                return entry
        return None

    def _is_near(self, entry: Entry) -> bool:
        """Whether nobody is passed over for long if this job goes first."""
        turns, tiers = self._queue.turns, self._waiting_at("")
        if entry.class_ not in self._mine or not tiers or tiers[0][1] != entry.tier:
            return False
        own = turns.of(entry.class_, entry.tier).get(entry.tenant)
        user_own = turns.of(entry.class_, entry.tenant_path).get(entry.user)
        if own is None or user_own is None:
            return False
        span = SPAN * self._worker.slots * len(self._queue.workers)
        head = self._queue.oldest_of(self._mine, entry.path)[0]
        return (
            own - self._waiting_at(entry.tier)[0][0] <= QUANTUM
            and user_own - self._waiting_at(entry.tenant_path)[0][0] <= QUANTUM
            and entry.sequence - head.sequence <= span
        )

    def _fair(self) -> Entry | None:
        for path in self._in_turn():
            entry = self._of_user(path)
            if entry or self._looked >= HEADS:
                return entry
        return None

    def _in_turn(self) -> Iterator[str]:
        for _, tier in self._waiting_at(""):
            for _, tenant in self._waiting_at(tier):
                for _, user in self._waiting_at(f"{tier}|{tenant}"):
                    yield f"{tier}|{tenant}|{user}"

    def _of_user(self, path: str) -> Entry | None:
        best, least = None, float("inf")
        slow = self._patience.prompt_ms > 0 or self._patience.token_ms > 0
        for entry in self._queue.oldest_of(self._mine, path, DEEP if slow else FAN):
            if self._looked >= HEADS:
                break
            self._looked += 1
            loss_ms = self._patience.loss_ms(entry.prompt_tokens, entry.completion_tokens)
            if loss_ms <= least and not self._is_left(entry, loss_ms):
                best, least = entry, loss_ms
                if not slow:
                    break
        return best

    def _is_left(self, entry: Entry, loss_ms: float) -> bool:
        if entry.prefers == self._name:
            return False
        other = self._queue.workers.get(entry.prefers)
        if self._now_ms < entry.prefers_until_ms and other and other.free:
            self._leave_to(entry.prefers, entry.prefers_until_ms - self._now_ms)
            return True
        return loss_ms > 0 and self._is_left_for_speed(entry, loss_ms)

    def _is_left_for_speed(self, entry: Entry, loss_ms: float) -> bool:
        now_ms, waiting = self._now_ms, self._waiting - len(self._got.jobs)
        left_ms = now_ms - (now_ms if entry.left_since_ms is None else entry.left_since_ms)
        if not self._patience.leaves(loss_ms, waiting, now_ms - entry.enqueued_ms, left_ms):
            return False
        faster = self._faster(entry.class_)
        if faster:
            entry.left_since_ms = now_ms - left_ms
            room = (name for name in faster if self._queue.workers[name].free)
            self._leave_to(next(room, ""), ceil(loss_ms - left_ms))
        return bool(faster)

    def _leave_to(self, other: str, ms: int) -> None:
        if other:
            self._got.called.add(other)
        self._got.again_ms = min(self._got.again_ms or ms, ms)

    def _faster(self, class_: str) -> list[str]:
        known = ((name, self._queue.workers.get(name)) for name in self._patience.faster)
        return [name for name, w in known if w and w.accepting and w.can_take(class_)]
