"""What is simulated: workers, tenants, jobs, and the record of each job."""

from dataclasses import dataclass

from dispatcher.cost import cost
from dispatcher.tier import Tier


@dataclass(frozen=True, slots=True)
class WorkerClass:
    """So many equal workers. Speeds are tokens per second in one slot, however many are busy."""

    name: str
    count: int
    slots: int
    prompt_tps: float
    decode_tps: float

    def service_ms(self, prompt_tokens: float, completion_tokens: float) -> float:
        """How long a job keeps a slot."""
        seconds = prompt_tokens / self.prompt_tps + completion_tokens / self.decode_tps
        return 1000 * seconds


@dataclass(frozen=True, slots=True)
class TenantClass:
    """A class of tenants. `part` weighs their conversations against those of the other classes."""

    name: str
    count: int
    part: float = 1
    tier: Tier = Tier.DEFAULT
    weight: float = 1


@dataclass(frozen=True, slots=True)
class Tenant:
    """One tenant of a class."""

    name: str
    kind: TenantClass


@dataclass(slots=True, eq=False)
class Job:
    """One request. The first `known_tokens` of its prompt are the conversation before it.

    `expected_tokens` is what its completion is taken for before it has run.
    """

    number: int
    tenant: Tenant
    prompt_tokens: int
    completion_tokens: int
    expected_tokens: int
    conversation: int
    turn: int = 0
    known_tokens: int = 0
    arrived_ms: float = 0
    attempts: int = 0

    @property
    def estimate(self) -> int:
        """What it is expected to cost (dispatcher/cost.py)."""
        return cost(self.prompt_tokens, self.expected_tokens)


@dataclass(frozen=True, slots=True)
class Record:
    """One job that was served, from its arrival to its end, in milliseconds.

    `started_ms` is when the worker that finished it took it. Of the prompt `cached_tokens` were not
    evaluated again.
    """

    job: int
    tenant: str
    kind: str
    tier: str
    weight: float
    worker: str
    arrived_ms: float
    started_ms: float
    finished_ms: float
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    attempts: int = 1

    @property
    def wait_ms(self) -> float:
        """From its arrival until it was taken."""
        return self.started_ms - self.arrived_ms

    @property
    def latency_ms(self) -> float:
        """From its arrival to its end."""
        return self.finished_ms - self.arrived_ms

    @property
    def cost(self) -> int:
        """What its tenant is charged (dispatcher/cost.py)."""
        return cost(self.prompt_tokens, self.completion_tokens, self.cached_tokens)
