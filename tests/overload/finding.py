"""What a trial has found, beside what it must find."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.answers import Answer, Verdict, read_answer
from bench.load_generator import Exchange


@dataclass(frozen=True, slots=True)
class Finding:
    """One figure: it is good from `least` to `most`."""

    name: str
    value: float
    least: float = float("-inf")
    most: float = float("inf")

    @property
    def is_good(self) -> bool:
        return self.least <= self.value <= self.most

    def __str__(self) -> str:
        bounds = [f"≥ {self.least:g}"] * (self.least > float("-inf"))
        bounds += [f"≤ {self.most:g}"] * (self.most < float("inf"))
        must = f"must be {' and '.join(bounds)}" if bounds else ""
        mark = "" if self.is_good else "   <--- NOT MET"
        return f"  {self.name:52} {self.value:10.4g}   {must}{mark}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answers to a load."""

    whole: Sequence[Answer]
    refused: Sequence[Answer]
    broken: Sequence[Answer]

    @classmethod
    def of(cls, exchanges: Sequence[Exchange]) -> "Outcome":
        answers = [read_answer(exchange) for exchange in exchanges]
        by_verdict = {
            verdict: [answer for answer in answers if answer.verdict is verdict]
            for verdict in Verdict
        }
        return cls(*(by_verdict[v] for v in (Verdict.WHOLE, Verdict.REFUSED, Verdict.BROKEN)))

    def first_token_s(self, part: float = 0.5) -> float:
        """Of the whole streams."""
        return percentile([answer.arrivals_s[0] for answer in self.whole], part)

    def refused_after_s(self, part: float = 1.0) -> float:
        """How long the refusals took to come; 0 where there are none."""
        return percentile([answer.ended_s for answer in self.refused] or [0.0], part)

    def reasons(self) -> list[str]:
        """Some of what broke."""
        return sorted({answer.why[:160] for answer in self.broken})[:5]


def percentile(values: Sequence[float], part: float) -> float:
    """NaN where there are none."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]
