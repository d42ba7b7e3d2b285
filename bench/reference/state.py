"""The jobs and workers of one model, and how a job moves between them. Pure."""

from bisect import insort

from bench.reference.blame import Blame
from bench.reference.turns import Entry, Turns
from bench.reference.worker import Worker
from dispatcher.needs import read_needs


class State:
    """Waiting and running jobs, and their charges (lua/parts/enter_queue.lua and others)."""

    def __init__(self) -> None:
        self.turns = Turns()
        self.blame = Blame()
        self.workers: dict[str, Worker] = {}
        self.jobs: dict[str, Entry] = {}
        self.running = 0
        self.mean_service_ms: float | None = None
        self._busy: dict[str, int] = {}
        self._queued = 0
        self._flows: dict[tuple[str, str], list[tuple[int, str]]] = {}

    @property
    def queued(self) -> int:
        """How many jobs wait."""
        return self._queued

    @property
    def queued_for_slots(self) -> int:
        """How many of them need one."""
        return sum(n for class_, n in self.turns.classes.items() if not read_needs(class_).side)

    @property
    def waiting(self) -> list[Entry]:
        """The jobs that wait, oldest first."""
        places = sorted(place for flow in self._flows.values() for place in flow)
        return [self.jobs[id_] for _, id_ in places]

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

    def learn(self, service_ms: int) -> None:
        """A job has held its slot for this time (lua/finish.lua)."""
        mean = float(service_ms) if self.mean_service_ms is None else self.mean_service_ms
        self.mean_service_ms = float(f"{mean + (service_ms - mean) / 16:.3f}")

    def is_suspect(self, entry: Entry, now_ms: int) -> bool:
        """Whether a worker runs at most one of such jobs."""
        return self.blame.is_suspect(entry, now_ms)

    def begin(self, entry: Entry, worker: str, now_ms: int) -> None:
        """A job begins to run."""
        self.turns.charge(entry, 0, entry.estimate)
        self.leave(entry)
        entry.worker, entry.claimed_ms = worker, now_ms
        if self.blame.is_suspect(entry, now_ms):
            self.workers[worker].suspect = entry.id
            self.blame.space_out(entry, now_ms)
        if entry.is_side:
            self.workers[worker].sides.add(entry.id)
            return
        self.workers[worker].running.add(entry.id)
        self.running += 1
        busy = self._busy[entry.tenant] = self._busy.get(entry.tenant, 0) + 1
        if 0 < entry.max_tenant_running <= busy:
            self.turns.park(entry.tenant)

    def oldest_of(self, classes: list[str], path: str, most: int) -> list[Entry]:
        """A user's oldest jobs, up to a number of each class."""
        flows = (self._flows.get((class_, path), [])[:most] for class_ in classes)
        return [self.jobs[id_] for _, id_ in sorted(place for flow in flows for place in flow)]

    def enter(self, entry: Entry) -> None:
        """A job comes into the queue, or back to its place in it."""
        insort(self._flows.setdefault((entry.class_, entry.path), []), (entry.sequence, entry.id))
        self._queued += 1
        self.turns.classes[entry.class_] = self.turns.classes.get(entry.class_, 0) + 1
        self.turns.enter(entry)

    def stop(self, id_: str) -> Entry:
        """A running job is taken off its worker."""
        entry = self.jobs[id_]
        worker = self.workers[entry.worker]
        if worker.suspect == id_:
            worker.suspect = ""
        if entry.is_side:
            worker.sides.remove(id_)
            return entry
        worker.running.remove(id_)
        self.running -= 1
        self._busy[entry.tenant] -= 1
        self.turns.unpark(entry.tenant)
        return entry
