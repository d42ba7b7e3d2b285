"""When conversations begin: Poisson, closed loop or bursts."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from random import Random

KINDS = "poisson:PER_SECOND, load:PART, closed:AT_ONCE or bursts:SIZE:EVERY_S"


@dataclass(frozen=True, slots=True)
class Arrivals:
    """`rate` is of conversations per second.

    A load is a part of what the fleet could do if all of a conversation but its last message were
    always cached.

    With `at_once` > 0 that number of conversations runs: one begins when another ends.
    """

    rate: float = 0
    load: float = 0
    at_once: int = 0
    burst: int = 0
    every_s: float = 0

    def times_ms(self, random: Random, most_per_s: float) -> Iterator[float]:
        """The times of arrival, for ever; in a closed loop all are 0."""
        if self.at_once:
            while True:
                yield 0.0
        if self.burst:
            yield from self._bursts()
        rate, now_ms = self.rate or self.load * most_per_s, 0.0
        while True:
            now_ms += random.expovariate(rate) * 1000
            yield now_ms

    def _bursts(self) -> Iterator[float]:
        now_ms = 0.0
        while True:
            yield from (now_ms for _ in range(self.burst))
            now_ms += self.every_s * 1000


def read_arrivals(text: str) -> Arrivals:
    """What a word on the command line says.

    >>> read_arrivals("closed:24").at_once, read_arrivals("bursts:100:2.5").every_s
    (24, 2.5)
    """
    kind, *words = text.split(":")
    try:
        numbers = [float(word) for word in words]
        if min(numbers, default=1) <= 0:
            raise ValueError
        if kind == "bursts":
            size, every_s = numbers
            return Arrivals(burst=int(size), every_s=every_s)
        (number,) = numbers
        return _OF_ONE[kind](number)
    except (KeyError, ValueError):
        raise ValueError(f"{text!r} is none of {KINDS}") from None


_OF_ONE: Mapping[str, Callable[[float], Arrivals]] = {
    "poisson": lambda rate: Arrivals(rate=rate),
    "load": lambda load: Arrivals(load=load),
    "closed": lambda at_once: Arrivals(at_once=int(at_once)),
}
