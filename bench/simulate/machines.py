"""The simulated llama-servers: slots, speeds, prompt caches, failures."""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

from bench.simulate.words import Job, WorkerClass


class PromptCache:
    """Prefixes of conversations in one server's memory, `bound` tokens, the latest used ones."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._held: OrderedDict[int, int] = OrderedDict()
        self._total = 0

    def cached(self, job: Job) -> int:
        """How many of a prompt's tokens needn't be evaluated."""
        return min(self._held.get(job.conversation, 0), job.known_tokens)

    def keep(self, job: Job) -> None:
        """A job has ended here: its conversation is known now."""
        tokens = job.prompt_tokens + job.completion_tokens
        self._total += tokens - self._held.pop(job.conversation, 0)
        self._held[job.conversation] = tokens
        while self._total > self._bound:
            self._total -= self._held.popitem(last=False)[1]

    def clear(self) -> None:
        """The server was started again."""
        self._held.clear()
        self._total = 0


@dataclass(frozen=True, slots=True)
class Run:
    """One attempt at a job. Its `number` is among all attempts."""

    number: int
    job: Job
    worker: int
    started_ms: float
    cached_tokens: int


@dataclass(slots=True, eq=False)
class Machine:
    """One worker. `restarts` counts how often its server was started again."""

    index: int
    kind: WorkerClass
    cache: PromptCache
    up: bool = True
    restarts: int = 0
    runs: dict[int, Run] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Unique in its fleet."""
        return f"{self.kind.name}{self.index}"

    @property
    def free(self) -> int:
        """Slots that are idle."""
        return self.kind.slots - len(self.runs) if self.up else 0

    def begin(self, number: int, job: Job, now_ms: float) -> Run:
        """Takes a job into a slot."""
        if not self.free:
            raise RuntimeError(f"{self.name} has no free slot")
        run = Run(number, job, self.index, now_ms, self.cache.cached(job))
        self.runs[number] = run
        return run

    def service_ms(self, run: Run) -> float:
        """How long it takes."""
        evaluated = run.job.prompt_tokens - run.cached_tokens
        return self.kind.service_ms(evaluated, run.job.completion_tokens)

    def end(self, run: Run) -> None:
        """A job is done."""
        del self.runs[run.number]
        self.cache.keep(run.job)

    def fail(self) -> list[Run]:
        """The server dies; returns what it was doing."""
        lost = list(self.runs.values())
        self.runs.clear()
        self.cache.clear()
        self.up = False
        self.restarts += 1
        return lost


def machines(fleet: Iterable[WorkerClass], cache_tokens: int) -> list[Machine]:
    """All workers of a fleet; each has room for `cache_tokens` in its prompt cache."""
    kinds = [kind for kind in fleet for _ in range(kind.count)]
    return [Machine(i, kind, PromptCache(cache_tokens)) for i, kind in enumerate(kinds)]
