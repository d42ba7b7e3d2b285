"""The events of one run."""

from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from typing import Any

from bench.simulate.chance import seeded
from bench.simulate.machines import Machine, Run, machines
from bench.simulate.policies import Make
from bench.simulate.policies.adapter import Policy, Times
from bench.simulate.words import Job, Record, WorkerClass
from bench.simulate.workload import Workload

Progress = Callable[[int, float], None]
"""Told how many jobs are done, and the time of the simulation in milliseconds."""


@dataclass(frozen=True, slots=True)
class Failures:
    """A server fails about every `every_s` seconds (0: never) and is back after about `repair_s`.

    Both vary exponentially. That it is gone is noticed after `notice_s`.
    """

    every_s: float = 0
    repair_s: float = 60
    notice_s: float = 1


@dataclass(frozen=True, slots=True)
class Fleet:
    """The workers and all that is theirs. A prompt cache has room for `cache_tokens`."""

    kinds: tuple[WorkerClass, ...]
    cache_tokens: int = 0
    failures: Failures = field(default_factory=Failures)
    times: Times = field(default_factory=Times)

    @property
    def slots(self) -> int:
        """Of all workers."""
        return sum(kind.count * kind.slots for kind in self.kinds)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run has brought; `lost` attempts ended with their servers."""

    records: list[Record]
    lost: int
    events: int


def simulate(
    fleet: Fleet,
    workload: Workload,
    make: Make,
    seed: int,
    progress: Progress = lambda done, now_ms: None,
) -> Outcome:
    """Runs all jobs of a workload."""
    return _Simulation(fleet, workload, seed, progress).run(make)


class _Simulation:
    """Also the hands of the policy."""

    def __init__(self, fleet: Fleet, workload: Workload, seed: int, progress: Progress) -> None:
        self._fleet = fleet
        self._workload = workload
        self._random = seeded(seed, "failures")
        self._ties = seeded(seed, "ties")
        self._progress = progress
        self._machines = machines(fleet.kinds, fleet.cache_tokens)
        self._events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._number = count()
        self._now_ms = 0.0
        self._records: list[Record] = []
        self._lost = 0
        self._policy: Policy

    def run(self, make: Make) -> Outcome:
        self._policy = make(self._machines, self, self._fleet.times, self._ties)
        self._coming = self._workload.begin()
        self._await_next()
        for machine in self._machines:
            self._await_failure(machine)
        events = 0
        while len(self._records) < self._workload.total:
            if not self._events:
                raise RuntimeError(
                    f"{len(self._records)} of {self._workload.total} jobs were served"
                )
            self._now_ms, _, event, arguments = heappop(self._events)
            event(*arguments)
            events += 1
        return Outcome(self._records, self._lost, events)

    # The hands.

    def start(self, machine: Machine, job: Job, after_ms: float) -> None:
        job.attempts += 1
        run = machine.begin(next(self._number), job, self._now_ms)
        self._at(self._now_ms + after_ms + machine.service_ms(run), self._end, machine, run)

    def wake(self, machine: Machine, at_ms: float) -> None:
        self._at(at_ms, self._wake, machine)

    def look(self, at_ms: float) -> None:
        self._at(at_ms, self._look)

    # The events.

    def _at(self, at_ms: float, event: Callable[..., None], *arguments: Any) -> None:
        heappush(self._events, (at_ms, next(self._number), event, arguments))

    def _await_next(self) -> None:
        coming = next(self._coming, None)
        if coming:
            self._at(coming[0], self._arrive_and_await, coming[1])

    def _arrive_and_await(self, job: Job) -> None:
        self._await_next()
        self._arrive(job)

    def _arrive(self, job: Job) -> None:
        job.arrived_ms = self._now_ms
        self._policy.arrive(job, self._now_ms)

    def _end(self, machine: Machine, run: Run) -> None:
        if run.number not in machine.runs:
            return
        machine.end(run)
        record = _record(machine, run, self._now_ms)
        self._records.append(record)
        self._progress(len(self._records), self._now_ms)
        following = self._workload.after(run.job, self._now_ms)
        self._policy.ended(machine, run.job, record.cost, self._now_ms)
        if following:
            self._at(following[0], self._arrive, following[1])

    def _wake(self, machine: Machine) -> None:
        if machine.up:
            self._policy.woken(machine, self._now_ms)

    def _look(self) -> None:
        if self._events:
            self._policy.look(self._now_ms)

    def _await_failure(self, machine: Machine) -> None:
        every_s = self._fleet.failures.every_s
        if every_s:
            at_ms = self._now_ms + 1000 * self._random.expovariate(1 / every_s)
            self._at(at_ms, self._fail, machine)

    def _fail(self, machine: Machine) -> None:
        failures = self._fleet.failures
        lost = [run.job for run in machine.fail()]
        self._lost += len(lost)
        noticed_ms = self._now_ms + 1000 * failures.notice_s
        repair_s = self._random.expovariate(1 / failures.repair_s) if failures.repair_s else 0
        self._at(noticed_ms, self._notice, machine, lost)
        self._at(noticed_ms + 1000 * repair_s, self._return, machine)

    def _notice(self, machine: Machine, lost: list[Job]) -> None:
        self._policy.lost(machine, lost, self._now_ms)

    def _return(self, machine: Machine) -> None:
        machine.up = True
        self._await_failure(machine)
        self._policy.returned(machine, self._now_ms)


def _record(machine: Machine, run: Run, now_ms: float) -> Record:
    job = run.job
    return Record(
        job=job.number,
        tenant=job.tenant.name,
        kind=job.tenant.kind.name,
        tier=job.tenant.kind.tier.value,
        weight=job.tenant.kind.weight,
        worker=machine.name,
        arrived_ms=job.arrived_ms,
        started_ms=run.started_ms,
        finished_ms=now_ms,
        prompt_tokens=job.prompt_tokens,
        cached_tokens=run.cached_tokens,
        completion_tokens=job.completion_tokens,
        attempts=job.attempts,
    )
