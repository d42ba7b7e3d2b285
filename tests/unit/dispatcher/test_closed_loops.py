"""Who waits for an answer before he asks again, in the reference, with a reaper every second."""

import heapq
import random
from dataclasses import dataclass, field
from itertools import count

import pytest

from bench.reference.queue import ReferenceQueue
from bench.reference.turns import Entry
from bench.reference.worker import Worker

TOKEN_MS, TOKENS = 20, (60, 180)
COST, SECONDS = 2000, 200  # of an output token; of the run


@dataclass
class Fleet:
    """Tenants in front of full workers. `served` is in cost, `waits_s` how long each job waited."""

    tenants: int
    workers: int
    talks: bool
    served: dict[str, int] = field(default_factory=dict)
    waits_s: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._chance = random.Random(1)  # noqa: S311
        self._queue = ReferenceQueue()
        self._events: list[tuple[int, int, str, str, int]] = []
        self._numbers = count()
        for number in range(self.workers):
            worker = Worker(slots=4, prompt_tps=1000, decode_tps=50, process="p")
            self._queue.workers[f"w{number}"] = worker

    def run(self) -> None:
        for number in range(self.tenants):
            self._at(0, "send", f"t{number:02}")
        for second in range(SECONDS):
            self._at(1000 * second, "reap")
        while self._events:
            now_ms, _, what, name, tokens = heapq.heappop(self._events)
            if now_ms > 1000 * SECONDS:
                return
            if what == "reap":
                self._queue.turns.forget_idle()
            elif what == "send":
                self._send(name, now_ms)
            elif what == "claim":
                self._claim(name, now_ms)
            else:
                self._end(name, tokens, now_ms)

    def _at(self, ms: int, what: str, name: str = "", tokens: int = 0) -> None:
        heapq.heappush(self._events, (ms, next(self._numbers), what, name, tokens))

    def _send(self, tenant: str, now_ms: int) -> None:
        id_ = f"{tenant}-{next(self._numbers)}"
        prefixes = (tenant,) if self.talks else ()
        entry = Entry(id_, tenant, estimate=120 * COST, completion_tokens=120, prefixes=prefixes)
        self._queue.enqueue(entry, now_ms)
        for name, worker in self._queue.workers.items():
            if worker.free:
                self._at(now_ms, "claim", name)

    def _claim(self, name: str, now_ms: int) -> None:
        got = self._queue.claim(name, 4, now_ms)
        for entry in got.jobs:
            self.waits_s.append((now_ms - entry.enqueued_ms) / 1000)
            tokens = self._chance.randint(*TOKENS)
            self._at(now_ms + tokens * TOKEN_MS, "end", entry.id, tokens)
        for other in got.called:
            self._at(now_ms, "claim", other)
        if got.again_ms:
            self._at(now_ms + got.again_ms, "claim", name)

    def _end(self, id_: str, tokens: int, now_ms: int) -> None:
        entry = self._queue.jobs[id_]
        self._queue.finish(id_, tokens * COST, (500, 0), now_ms)
        self.served[entry.tenant] = self.served.get(entry.tenant, 0) + tokens * COST
        self._claim(entry.worker, now_ms)
        self._at(now_ms + 3, "send", entry.tenant)


@pytest.mark.parametrize("talks", [False, True])
@pytest.mark.parametrize(("tenants", "workers"), [(30, 3), (50, 5)])
def test_they_are_served_alike_and_wait_alike(tenants: int, workers: int, *, talks: bool) -> None:
    fleet = Fleet(tenants, workers, talks)
    fleet.run()
    assert len(fleet.served) == tenants
    assert max(fleet.served.values()) <= 1.5 * min(fleet.served.values())
    assert max(fleet.waits_s) <= 30
