"""When a slow worker leaves a job to faster ones: the slow server problem of queueing theory. Pure.

Taking the job costs its client the difference between the two speeds; leaving it costs everybody
behind it the time until a faster worker has a free slot. docs/adr/0006 has the rule's comparison.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt

from dispatcher.constants import FASTER_ASKED, FASTER_RATIO

# A queue for n slots varies by about the root of n: a longer one lasts.
_BEYOND_CHANCE = 1.5


@dataclass(frozen=True, slots=True)
class Speed:
    """One worker's slots and measured tokens per second in one slot; 0 where not measured yet."""

    slots: int
    prompt_tps: float
    decode_tps: float


@dataclass(frozen=True, slots=True)
class Load:
    """Tokens of an average job."""

    prompt_tokens: float
    completion_tokens: float


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a worker waits for faster ones to take a job.

    A job that is taken here loses `prompt_ms` per prompt token and `token_ms` per output token. In
    `turn_ms` the faster ones take one more job. Jobs come after those that wait: so the queue
    counts up to `backlog_factor` times its length. `faster` names some of the faster ones.
    """

    prompt_ms: float = 0
    token_ms: float = 0
    turn_ms: float = 0
    backlog_factor: float = 1
    faster: tuple[str, ...] = ()

    @property
    def is_slow(self) -> bool:
        """Whether there are faster workers to wait for."""
        return self.prompt_ms > 0 or self.token_ms > 0

    def loss_ms(self, prompt_tokens: int, completion_tokens: int) -> float:
        """How much sooner the faster workers would do a job, once they have begun."""
        return prompt_tokens * self.prompt_ms + completion_tokens * self.token_ms

    def leaves(self, loss_ms: float, waiting: int, waited_ms: float, left_ms: float) -> bool:
        """Whether a job that came `waited_ms` ago is left to the faster workers.

        `waiting` jobs are queued, this one included. It was first left `left_ms` ago, and is left
        for no longer than that would gain. Workers that never come cost a job its loss at most.
        """
        ahead_ms = waiting * self.turn_ms
        return loss_ms > ahead_ms * self._times(ahead_ms, waited_ms) and left_ms < loss_ms

    def _times(self, ahead_ms: float, waited_ms: float) -> float:
        """How many times its length the queue counts.

        All jobs now queued came while this one waited. Where that is fewer than are taken in that
        time, the queue gets shorter, and the two rates tell when it will be empty.
        """
        shrunk_ms = waited_ms - ahead_ms
        return (
            min(self.backlog_factor, waited_ms / shrunk_ms)
            if shrunk_ms > 0
            else self.backlog_factor
        )


EAGER = Patience()
"""Takes everything: a worker that is not measured, or as fast as any."""


def patience(me: str, fleet: Mapping[str, Speed], load: Load) -> Patience:
    """How patient the worker `me` should be among the accepting workers of its model."""
    mine = fleet.get(me)
    if mine is None or not _is_measured(mine):
        return EAGER
    limit_s = _seconds(mine, load) / FASTER_RATIO
    faster = {
        name: speed
        for name, speed in fleet.items()
        if speed.slots and _is_measured(speed) and _seconds(speed, load) < limit_s
    }
    if not faster:
        return EAGER
    rates = {name: speed.slots / _seconds(speed, load) for name, speed in faster.items()}
    per_second = sum(rates.values())
    # Of the next slot that becomes free, which is more often a fast one.
    prompt_s = sum(rates[name] / speed.prompt_tps for name, speed in faster.items()) / per_second
    token_s = sum(rates[name] / speed.decode_tps for name, speed in faster.items()) / per_second
    return Patience(
        prompt_ms=1000 / mine.prompt_tps - 1000 * prompt_s,
        token_ms=1000 / mine.decode_tps - 1000 * token_s,
        turn_ms=1000 / per_second,
        backlog_factor=_BEYOND_CHANCE * sqrt(sum(speed.slots for speed in faster.values())),
        faster=tuple(sorted(faster, key=lambda name: _seconds(faster[name], load))[:FASTER_ASKED]),
    )


def _is_measured(speed: Speed) -> bool:
    return speed.prompt_tps > 0 and speed.decode_tps > 0


def _seconds(speed: Speed, load: Load) -> float:
    return load.prompt_tokens / speed.prompt_tps + load.completion_tokens / speed.decode_tps
