"""The requests, their tenants and times: the same for every policy."""

from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, islice
from random import Random
from typing import Protocol

from bench.simulate.arrivals import Arrivals
from bench.simulate.chance import seeded
from bench.simulate.sizes import Sizes
from bench.simulate.words import Job, Tenant, TenantClass, WorkerClass


class Workload(Protocol):
    """Jobs and the times of their arrival, in milliseconds."""

    total: int

    def begin(self) -> Iterator[tuple[float, Job]]:
        """Jobs that come whatever happens, as times rise."""

    def after(self, job: Job, now_ms: float) -> tuple[float, Job] | None:
        """The job that comes because this one has ended."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What tenants ask for.

    A conversation has `turns` jobs; each comes `think_s` seconds after the one before has ended,
    and adds a message of `prompt` tokens. A completion is expected to be as long as it is, times or
    divided by up to `misjudged`; `expected_most` bounds what is expected, as a mean would (0: not).
    The n-th tenant of a class is drawn in proportion to 1 / n ** skew.
    """

    tenants: tuple[TenantClass, ...]
    arrivals: Arrivals
    prompt: Sizes
    completion: Sizes
    turns: Sizes
    think_s: Sizes
    misjudged: float = 1
    expected_most: int = 0
    skew: float = 0


@dataclass(frozen=True, slots=True)
class _Turn:
    message_tokens: int
    completion_tokens: int
    expected_tokens: int
    think_ms: float


class Generated:
    """A workload of `total` jobs that follows from a seed."""

    def __init__(
        self, demand: Demand, fleet: tuple[WorkerClass, ...], total: int, seed: int
    ) -> None:
        self.total = total
        self._demand = demand
        self._turns = list(_turns(demand, total, seeded(seed, "turns")))
        self._owners = _Owners(demand, seeded(seed, "tenants"))
        self._waiting: Iterator[tuple[float, Job]] = iter(())
        self._number = 0
        most_per_s = fleet_per_s(fleet, *self._means()) * len(self._turns) / total
        self._times = demand.arrivals.times_ms(seeded(seed, "arrivals"), most_per_s)

    def begin(self) -> Iterator[tuple[float, Job]]:
        """Conversations begin, in a closed loop only the first ones."""
        at_once = self._demand.arrivals.at_once
        self._waiting = self._conversations()
        return islice(self._waiting, at_once) if at_once else self._waiting

    def after(self, job: Job, now_ms: float) -> tuple[float, Job] | None:
        """The next turn; or, in a closed loop, the next conversation."""
        script = self._turns[job.conversation]
        if job.turn + 1 < len(script):
            return now_ms + script[job.turn + 1].think_ms, self._job(job, job.turn + 1)
        if self._demand.arrivals.at_once:
            following = next(self._waiting, None)
            return following and (now_ms + script[0].think_ms, following[1])
        return None

    def _conversations(self) -> Iterator[tuple[float, Job]]:
        for conversation in range(len(self._turns)):
            first = Job(0, self._owners.draw(), 0, 0, 0, conversation)
            yield next(self._times), self._job(first, 0)

    def _job(self, before: Job, turn: int) -> Job:
        script = self._turns[before.conversation][turn]
        known = before.prompt_tokens + before.completion_tokens
        self._number += 1
        return Job(
            number=self._number,
            tenant=before.tenant,
            prompt_tokens=known + script.message_tokens,
            completion_tokens=script.completion_tokens,
            expected_tokens=script.expected_tokens,
            conversation=before.conversation,
            turn=turn,
            known_tokens=known,
        )

    def _means(self) -> tuple[float, float]:
        """Tokens of an average message and completion."""
        turns = [turn for script in self._turns for turn in script]
        messages = sum(turn.message_tokens for turn in turns)
        completions = sum(turn.completion_tokens for turn in turns)
        return messages / self.total, completions / self.total


class _Owners:
    """Draws tenants: a class by its part, in it the n-th tenant in proportion to 1 / n ** skew."""

    def __init__(self, demand: Demand, random: Random) -> None:
        self._random = random
        self._classes = demand.tenants
        self._parts = list(accumulate(kind.part for kind in self._classes))
        self._tenants = [
            [Tenant(f"{kind.name}{number + 1}", kind) for number in range(kind.count)]
            for kind in self._classes
        ]
        self._ranks = [
            list(accumulate((n + 1) ** -demand.skew for n in range(kind.count)))
            for kind in self._classes
        ]

    def draw(self) -> Tenant:
        """The tenant of a conversation."""
        kind = self._pick(self._parts)
        return self._tenants[kind][self._pick(self._ranks[kind])]

    def _pick(self, sums: list[float]) -> int:
        return min(bisect(sums, self._random.random() * sums[-1]), len(sums) - 1)


def _turns(demand: Demand, total: int, random: Random) -> Iterator[list[_Turn]]:
    while total > 0:
        count = min(total, demand.turns.draw_tokens(random))
        total -= count
        yield [_turn(demand, random) for _ in range(count)]


def _turn(demand: Demand, random: Random) -> _Turn:
    message, completion = demand.prompt.draw_tokens(random), demand.completion.draw_tokens(random)
    expected = max(1, round(completion * demand.misjudged ** random.uniform(-1, 1)))
    if demand.expected_most:
        expected = min(expected, demand.expected_most)
    return _Turn(message, completion, expected, 1000 * demand.think_s.draw(random))


def fleet_per_s(
    fleet: tuple[WorkerClass, ...], prompt_tokens: float, completion_tokens: float
) -> float:
    """How many average jobs a fleet does in a second."""
    return sum(
        1000 * kind.count * kind.slots / kind.service_ms(prompt_tokens, completion_tokens)
        for kind in fleet
    )
