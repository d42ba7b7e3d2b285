"""How late jobs are claimed, from a book of what bridges did.

A job's *lateness* is the time in which a willing slot was free, between its enqueue and the answer
of the claim that takes it. Its *wake-up* is the longest single piece of that. They differ for jobs
that slow workers leave: these change their minds with each job that comes or goes, and before one
has asked, the queue is shorter again. A slot counts as free from before its job's `finish` is sent.
So lateness contains all calls, and the waits in the process that keeps the book. A slot is willing
when its bridge lives and can take the job's class, unless the rules of `lua/parts/leaving.lua`
leave the job to others:
 - it prefers another live bridge, for 200 ms from when it was left first, else from its enqueue;
   whether that bridge is full is not looked at here;
 - the bridge's patience at its last claim leaves it (`Patience.leaves`), for as long as its loss,
   from when the job was left first, as Redis knows it.
A job is `touched` if a dead bridge ran it or was preferred. A job that came back from a dead bridge
is judged by its first wait alone.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from dispatcher.patience import EAGER, Patience
from testing.toy_bridge import Sort

PREFERRED_S = 0.2


@dataclass(slots=True)
class Waited:
    """One job in the queue."""

    class_: str
    prompt: int
    completion: int
    since: float
    prefers: str = ""
    left_since: float | None = None
    until: float = 0
    late_s: float = 0
    wake_up_s: float = 0
    _late_until: float = 0
    _late_from: float = 0
    touched: bool = False

    def late(self, since: float, until: float) -> None:
        """A willing slot was free between these times."""
        if since >= until:
            return
        self.late_s += until - since
        if since > self._late_until:
            self._late_from = since
        self._late_until = until
        self.wake_up_s = max(self.wake_up_s, until - self._late_from)


@dataclass(slots=True)
class Seen:
    """A bridge between two events."""

    sort: Sort
    free: int = 0
    patience: Patience = EAGER


@dataclass(slots=True)
class Book:
    """What happened: (time, what, bridge or job), and the jobs."""

    jobs: dict[str, Waited] = field(default_factory=dict)
    events: list[tuple[float, str, str, object]] = field(default_factory=list)

    def note(self, what: str, name: str, more: object = None) -> None:
        """Something happens now."""
        self.events.append((time.time(), what, name, more))


class Replay:
    """Goes through a book and finds out how late each job was."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._bridges: dict[str, Seen] = {}
        self._waiting: dict[str, Waited] = {}

    def run(self) -> None:
        """Sets `late_s`, `wake_up_s` and `touched` of all jobs."""
        for event, after in pairwise(sorted(self._book.events, key=lambda event: event[0])):
            self._apply(*event)
            free = {n: seen for n, seen in self._bridges.items() if seen.free > 0}
            for job in self._waiting.values() if free else ():
                since = min(self._willing(job, free, event[0]), default=after[0])
                job.late(since, after[0])

    def _apply(self, at: float, what: str, name: str, more: object) -> None:
        if what == "enqueued":
            self._waiting[name] = self._book.jobs[name]
        elif what == "claimed":
            self._waiting.pop(str(more), None)
            self._bridges[name].free -= 1
        elif what == "freed" and name in self._bridges:
            self._bridges[name].free += 1
        elif what == "joined" and isinstance(more, Sort):
            self._bridges[name] = Seen(more, more.slots)
        elif what == "patience" and isinstance(more, Patience):
            self._bridges[name].patience = more
        elif what == "died":
            del self._bridges[name]
            for job in self._book.jobs.values():
                job.touched |= job.prefers == name and job.until > at

    def _willing(self, job: Waited, free: dict[str, Seen], at: float) -> Iterator[float]:
        """From when on each of them would take the job."""
        for name, seen in free.items():
            if job.class_ not in ("any", seen.sort.modalities):
                continue
            since = at
            if job.prefers in self._bridges and job.prefers != name:
                since = max(since, (job.left_since or job.since) + PREFERRED_S)
            loss_ms = seen.patience.loss_ms(job.prompt, job.completion)
            waited_ms = 1000 * (at - job.since)
            left_since = job.left_since or at
            left_ms = max(0.0, 1000 * (at - left_since))
            if job.prefers != name and seen.patience.leaves(
                loss_ms, len(self._waiting), waited_ms, left_ms
            ):
                since = max(since, left_since + loss_ms / 1000)
            yield since
