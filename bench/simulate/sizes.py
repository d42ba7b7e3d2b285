"""Distributions of sizes and times, as the command line names them."""

from dataclasses import dataclass
from math import log
from random import Random

KINDS = "N, uniform:LOW:HIGH, exponential:MEAN or lognormal:MEAN:SIGMA"
_ARGUMENTS = {"constant": 1, "uniform": 2, "exponential": 1, "lognormal": 2}


@dataclass(frozen=True, slots=True)
class Sizes:
    """A distribution of positive numbers."""

    kind: str
    numbers: tuple[float, ...]

    def draw(self, random: Random) -> float:
        """One number."""
        first = self.numbers[0]
        if self.kind == "uniform":
            return random.uniform(*self.numbers)
        if self.kind == "exponential":
            return random.expovariate(1 / first) if first else 0.0
        if self.kind == "lognormal":
            sigma = self.numbers[1]
            return random.lognormvariate(log(first) - sigma * sigma / 2, sigma)
        return first

    def draw_tokens(self, random: Random) -> int:
        """One number of tokens, at least 1."""
        return max(1, round(self.draw(random)))


def read_sizes(text: str) -> Sizes:
    """What a word on the command line says.

    >>> read_sizes("100").numbers, read_sizes("uniform:20:180").kind
    ((100.0,), 'uniform')
    """
    kind, *words = text.split(":") if ":" in text else ["constant", text]
    if len(words) != _ARGUMENTS.get(kind):
        raise ValueError(f"{text!r} is none of {KINDS}")
    return Sizes(kind, tuple(float(word) for word in words))
