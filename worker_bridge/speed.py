"""How fast a server is in one slot, from the timings of its answers. Pure.

What llama-server says can be trusted (b11549, 28 M parameters on one core): `predicted_ms` is the
wall-clock time from the first token to the last, so that `predicted_n - 1` tokens took it. It
has in it whatever slows the slot down: 191 tokens/s alone, 67.6 with 4 slots busy, 9.9 while the
prompts of 1,500 tokens of two others were evaluated in between; a client's watch said the same, to
1 %. `prompt_ms` is wall-clock time too, shared with whatever else ran (1,154 tokens/s alone, 298 in
each of 4 slots at once), but not the time before the slot gets its first batch: of 4 prompts of
1,500 tokens that came together the last two waited 2.2 s and 4.5 s that are in no figure.
"""

import math

from worker_bridge.meter import Timings


class Speedometer:
    """Smoothed speeds of one server process. Another process starts from nothing."""

    def __init__(self) -> None:
        self._begin("")

    def add(self, process: str, timings: Timings) -> None:
        """Takes the timings of an answer; those that can't be are left out."""
        if process != self._process:
            self._begin(process)
        self._prompt.add(timings.prompt, timings.prompt_ms)
        self._decode.add(timings.predicted - 1, timings.predicted_ms)

    def of(self, process: str) -> tuple[float, float]:
        """Tokens per second of prompts and of answers, to 3 digits; 0 while it isn't known."""
        if process != self._process:
            return 0.0, 0.0
        return self._prompt.per_second, self._decode.per_second

    def _begin(self, process: str) -> None:
        self._process = process
        # The first token of a prompt costs a pass over the weights, as much as some dozen others.
        self._prompt = _Mean(half_life=2000, few=64)
        self._decode = _Mean(half_life=500, few=8)


class _Mean:
    """An exponential mean over tokens: the last `half_life` of them make up half of it.

    Of the logarithm, so that a server that gets slower is followed as soon as one that gets faster.
    A measurement of n tokens weighs n²/(n + few): much fewer than `few` tell next to nothing.
    """

    def __init__(self, half_life: float, few: float) -> None:
        self._half_life = half_life
        self._few = few
        self._log = 0.0
        self._known = 0.0  # how much of the mean is measured: 0 to 1

    def add(self, tokens: int, ms: float) -> None:
        if tokens <= 0 or not 0 < ms < math.inf:
            return
        kept = 0.5 ** (tokens * tokens / (tokens + self._few) / self._half_life)
        known = kept * self._known + 1 - kept
        part = (1 - kept) / known
        self._log += part * (math.log(tokens * 1000 / ms) - self._log)
        self._known = known

    @property
    def per_second(self) -> float:
        """The mean, to 3 digits: Redis is then told of few changes."""
        return float(f"{math.exp(self._log):.3g}") if self._known else 0.0
