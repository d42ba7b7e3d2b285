"""Figures of a load: CPU per request and token, times, rates."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median, quantiles

from bench.answers import Answer, Verdict


@dataclass(frozen=True, slots=True)
class Measured:
    """One load on one system: its answers, its CPU time, how long it took, its memory (PSS).

    `parts_s` is the CPU time of each of its parts.
    """

    answers: Sequence[Answer]
    cpu_s: float
    wall_s: float
    memory_bytes: int = 0
    parts_s: Mapping[str, float] = field(default_factory=dict)

    @property
    def whole(self) -> Sequence[Answer]:
        """The answers that came complete and right."""
        return [answer for answer in self.answers if answer.verdict is Verdict.WHOLE]

    @property
    def tokens(self) -> int:
        """Of all whole answers."""
        return sum(answer.tokens for answer in self.answers)

    def of_part(self, part: str) -> "Measured":
        """The figures as if only this part used the CPU."""
        return replace(self, cpu_s=self.parts_s.get(part, 0))

    def count(self, verdict: Verdict) -> int:
        """How many went so."""
        return sum(answer.verdict is verdict for answer in self.answers)


@dataclass(frozen=True, slots=True)
class Figure:
    """Less is better, unless `more` is. Only for `is_cpu` ones other programs' load is harmless.

    What is `added` is told without what the first server alone takes. What is `scaled` is CPU time:
    it is told as if the fixed work of the calibration had cost the same at each turn.
    """

    name: str
    unit: str
    of: Callable[[Measured], float]
    more: bool = False
    is_cpu: bool = False
    added: bool = False
    scaled: bool = False

    @property
    def title(self) -> str:
        """Its name with its unit."""
        return f"{self.name}, {self.unit}" if self.unit else self.name


def _percentile(values: Sequence[float], percent: int) -> float:
    if len(values) < 2:
        return sum(values)
    return quantiles(values, n=100, method="inclusive")[percent - 1]


def _latencies_ms(measured: Measured) -> Sequence[float]:
    return [answer.ended_s * 1e3 for answer in measured.whole]


def _first_ms(measured: Measured) -> float:
    return median([answer.arrivals_s[0] * 1e3 for answer in measured.whole] or [0])


def _gaps_ms(measured: Measured) -> Sequence[float]:
    return [gap_s * 1e3 for answer in measured.whole for gap_s in answer.gaps_s]


_CPU_TIME = {"is_cpu": True, "scaled": True}

CPU_PER_REQUEST = Figure(
    "CPU per request", "ms", lambda m: m.cpu_s * 1e3 / max(1, len(m.whole)), **_CPU_TIME
)
CPU_PER_TOKEN = Figure(
    "CPU per token", "µs", lambda m: m.cpu_s * 1e6 / max(1, m.tokens), **_CPU_TIME
)
REQUESTS_PER_S = Figure("requests", "1/s", lambda m: len(m.whole) / m.wall_s, more=True)
TOKENS_PER_S = Figure("tokens", "1/s", lambda m: m.tokens / m.wall_s, more=True)
LATENCY_P50 = Figure("latency p50", "ms", lambda m: _percentile(_latencies_ms(m), 50))
LATENCY_P99 = Figure("latency p99", "ms", lambda m: _percentile(_latencies_ms(m), 99))
FIRST_TOKEN = Figure("first token p50", "ms", _first_ms)
ADDED_TO_FIRST = Figure("added to the first token", "ms", _first_ms, added=True)
GAP_P99 = Figure("gap p99", "ms", lambda m: _percentile(_gaps_ms(m), 99))
WHOLE = Figure("whole answers", "", lambda m: len(m.whole), more=True, is_cpu=True)
REFUSED = Figure("refused", "", lambda m: m.count(Verdict.REFUSED), is_cpu=True)
BROKEN = Figure("broken", "", lambda m: m.count(Verdict.BROKEN), is_cpu=True)
CPU_OF_A_CORE = Figure("CPU", "% of a core", lambda m: m.cpu_s / m.wall_s * 100, **_CPU_TIME)
MEMORY = Figure("memory (PSS)", "MB", lambda m: m.memory_bytes / 1e6, is_cpu=True)
