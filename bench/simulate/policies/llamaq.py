"""llamaq: bench/reference decides; here are bells, claims and the bridges' speeds."""

from collections import OrderedDict, deque
from collections.abc import Sequence
from math import exp, inf
from random import Random

from bench.reference.queue import ReferenceQueue
from bench.reference.turns import Entry
from bench.reference.worker import Worker
from bench.simulate.machines import Machine
from bench.simulate.policies.adapter import Hands, Times
from bench.simulate.policies.rules import Rule
from bench.simulate.words import Job
from dispatcher.patience import EAGER, Load, Patience, Speed

# As in worker_bridge/claim_policy.py and lua/finish.lua.
_LOOK_EVERY_MS, _WORKERS_PER_S, _LEARNED = 1000.0, 32, 16
_BEGINNINGS = 24  # as in api/chat/prefix.py
_ARRIVALS_OVER_MS = 5000.0


class Llamaq:
    """Workers with room listen to one bell; who was called first claims first."""

    def __init__(
        self, fleet: list[Machine], hands: Hands, times: Times, random: Random, *, rule: Rule
    ) -> None:
        self._hands = hands
        self._claim_ms = times.claim_ms
        self._rule = rule
        self._machines = {machine.name: machine for machine in fleet}
        self._queue = ReferenceQueue()
        self._jobs: dict[str, Job] = {}
        self._listening = OrderedDict.fromkeys(random.sample(list(self._machines), len(fleet)))
        self._errors = {name: _error(times.misjudged, random) for name in self._machines}
        self._again = dict.fromkeys(self._machines, inf)
        self._speeds: dict[str, Speed] = {}
        self._patience: dict[str, Patience] = {}
        self._prompt_tokens = self._completion_tokens = 0.0
        self._arrived = 0
        self._per_s = 0.0
        self._every_ms = max(_LOOK_EVERY_MS, 1000 * len(fleet) / _WORKERS_PER_S)
        for machine in fleet:
            self._queue.workers[machine.name] = Worker(machine.kind.slots, process="0")
        hands.look(self._every_ms)

    def arrive(self, job: Job, now_ms: float) -> None:
        """Enqueues it and rings the bell."""
        self._arrived += 1
        entry = _entry(job)
        self._jobs[entry.id] = job
        self._queue.enqueue(entry, int(now_ms))
        self._ring(now_ms)

    def ended(self, machine: Machine, job: Job, cost: int, now_ms: float) -> None:
        """Finishes it; the bridge claims again."""
        self._learn(machine, job)
        del self._jobs[str(job.number)]
        tokens = job.prompt_tokens, job.completion_tokens
        self._queue.finish(str(job.number), cost, tokens, int(now_ms))
        self._claim(machine.name, now_ms)

    def lost(self, machine: Machine, jobs: Sequence[Job], now_ms: float) -> None:
        """Gives its jobs back."""
        self._queue.workers[machine.name].accepting = False
        self._speeds.pop(machine.name, None)
        self._listening.pop(machine.name, None)
        for job in jobs:
            self._queue.release(str(job.number), int(now_ms))
            self._ring(now_ms)

    def returned(self, machine: Machine, now_ms: float) -> None:
        """It registers and claims."""
        worker = self._queue.workers[machine.name]
        worker.accepting, worker.process = True, str(machine.restarts)
        self._patience.pop(machine.name, None)
        self._claim(machine.name, now_ms)

    def woken(self, machine: Machine, now_ms: float) -> None:
        """Claims what was left to others until now."""
        if now_ms >= self._again[machine.name]:
            self._claim(machine.name, now_ms)

    def look(self, now_ms: float) -> None:
        """All bridges look at the fleet; those of equal speed see the same."""
        kept = exp(-self._every_ms / _ARRIVALS_OVER_MS)
        self._per_s = kept * self._per_s + (1 - kept) * self._arrived * 1000 / self._every_ms
        load = Load(self._prompt_tokens, self._completion_tokens)
        self._arrived = 0
        found: dict[Speed, Patience] = {}
        for name, speed in self._speeds.items():
            if speed not in found:
                found[speed] = self._rule(name, self._speeds, load, self._per_s)
            self._patience[name] = found[speed]
        self._hands.look(now_ms + self._every_ms)

    def _ring(self, now_ms: float) -> None:
        """The shared bell calls the one who listens for longest."""
        if self._listening:
            self._claim(self._listening.popitem(last=False)[0], now_ms)

    def _claim(self, name: str, now_ms: float) -> None:
        """One claim, and those of the workers that it calls."""
        called = deque([name])
        while called:
            called.extend(self._claim_one(called.popleft(), now_ms))

    def _claim_one(self, name: str, now_ms: float) -> list[str]:
        machine = self._machines[name]
        wanted = machine.free
        got = self._queue.claim(name, wanted, int(now_ms), self._patience.get(name, EAGER))
        for entry in got.jobs:
            self._hands.start(machine, self._jobs[entry.id], self._claim_ms)
        self._listening.pop(name, None)
        if machine.free:
            self._listening[name] = None
        self._again[name] = now_ms + got.again_ms if got.again_ms else inf
        if got.again_ms:
            self._hands.wake(machine, self._again[name])
        called = [other for other in sorted(got.called) if self._machines[other].free]
        if len(got.jobs) == wanted and self._queue.queued and self._listening:
            called.append(self._listening.popitem(last=False)[0])
        return called

    def _learn(self, machine: Machine, job: Job) -> None:
        """The bridge's measurements, and what jobs are like on average."""
        if machine.name not in self._speeds:
            error, kind = self._errors[machine.name], machine.kind
            prompt, decode = kind.prompt_tps * error, kind.decode_tps * error
            self._speeds[machine.name] = Speed(kind.slots, _rounded(prompt), _rounded(decode))
            worker = self._queue.workers[machine.name]
            worker.prompt_tps, worker.decode_tps = _rounded(prompt), _rounded(decode)
        part = 1 / _LEARNED if self._completion_tokens else 1
        self._prompt_tokens += part * (job.prompt_tokens - self._prompt_tokens)
        self._completion_tokens += part * (job.completion_tokens - self._completion_tokens)


def _entry(job: Job) -> Entry:
    beginnings = range(job.turn, max(-1, job.turn - _BEGINNINGS), -1)
    return Entry(
        id=str(job.number),
        tenant=job.tenant.name,
        tier=job.tenant.kind.tier.value,
        weight=job.tenant.kind.weight,
        estimate=job.estimate,
        prompt_tokens=job.prompt_tokens,
        completion_tokens=job.expected_tokens,
        prefixes=tuple(f"{job.conversation}:{turn}" for turn in beginnings),
    )


def _error(misjudged: float, random: Random) -> float:
    return float((1 + misjudged) ** random.uniform(-1, 1))


def _rounded(tps: float) -> float:
    return float(f"{tps:.3g}")
