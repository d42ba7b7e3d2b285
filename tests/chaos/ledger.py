"""What became of every request, and what of it must not be."""

from collections import Counter
from dataclasses import dataclass, field

from tests.chaos.clients import Asked, End
from tests.chaos.faults import CLOCK_STEP_MS, away
from tests.chaos.fleet import Fleet

STREAMS_GO_ON = True
"""Whether a stream whose worker was lost goes on on another one; else it may end in one
`worker_failed` event. It may end like this in any case where several workers have failed at it,
also while its API was away, or where a step of the clock has left it no time to go on.
"""

SHORTEST_LIMIT_S = 40.0
# README.md, "What a client may get": the codes of faults that are not the client's.
_DOCUMENTED = {
    (429, "queue_full"),
    (502, "worker_failed"),
    (503, "model_unavailable"),
    (503, "redis_unavailable"),
    (504, "deadline_exceeded"),
}


@dataclass(slots=True)
class Ledger:
    """Counts how requests ended; `wrong` has a line for each one that ended as it must not."""

    fleet: Fleet
    ends: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        return sum(self.ends.values())

    @property
    def complete(self) -> int:
        return self.ends[End.COMPLETE]

    def enter(self, asked: Asked) -> list[str]:
        """Judges a request; returns what is wrong with it."""
        found = [*asked.wrong, *self._judge_text(asked), *self._judge_end(asked)]
        self.ends[" ".join(filter(None, (str(asked.end), asked.code)))] += 1
        self.wrong += [f"{asked}: {fault}" for fault in found]
        return found

    def _judge_text(self, asked: Asked) -> list[str]:
        expected = asked.known.text[: asked.tokens]
        if not expected.startswith(asked.text):
            return [f"mixed text: {asked.text!r} is not the beginning of {expected!r}"]
        if asked.end is End.COMPLETE and asked.text != expected:
            return [f"text is missing: {asked.text!r} instead of {expected!r}"]
        return []

    def _judge_end(self, asked: Asked) -> list[str]:
        if asked.end is End.BROKEN and not self._had(asked, asked.api):
            return [f"the connection to a living API broke ({asked.code})"]
        return self._judge_error(asked) if asked.end is End.ERROR else []

    def _judge_error(self, asked: Asked) -> list[str]:
        streamed = asked.status == 200
        statuses = {status for status, code in _DOCUMENTED if code == asked.code}
        if not statuses or not (streamed or asked.status in statuses):
            return [f"an error that is not documented: {asked.status} {asked.code}"]
        took = asked.ended - asked.began
        if asked.code == "deadline_exceeded" and took < SHORTEST_LIMIT_S - 1:
            shifted = self._had(asked, "clock")
            if not shifted or took < SHORTEST_LIMIT_S - 1 - 2 * CLOCK_STEP_MS / 1000:
                return [f"given up after {took:.1f} s"]
        if STREAMS_GO_ON and asked.text and asked.code == "worker_failed":
            spent = "have failed at it" in asked.message
            unheard = "was cut off" in asked.message and self._had(asked, away(asked.api))
            if not (spent or unheard or self._had(asked, "clock")):
                return ["a stream did not go on"]
        return []

    def _had(self, asked: Asked, what: str) -> bool:
        return self.fleet.had_trouble(what, asked.began, asked.ended)
