"""Counts of durations, in classes of time. Pure."""

import re
from bisect import bisect_left
from dataclasses import dataclass

_SHORTEST_MS, _RATIO, CLASSES = 20.0, 3**0.5, 20
LONGEST_MS = tuple(_SHORTEST_MS * _RATIO**class_ for class_ in range(CLASSES - 1))
"""The longest time of each class; the last one also counts all that took longer."""
_COUNT = re.compile(r"(\d{1,2}):(\d{1,9})")


@dataclass(frozen=True, slots=True)
class Latencies:
    """`counts` begins with the class of up to 20 ms; each further class is √3 times as long.

    >>> (Latencies().with_one(5) + Latencies().with_one(30)).text
    '0:1,1:1'
    """

    counts: tuple[int, ...] = (0,) * CLASSES

    def with_one(self, ms: float) -> "Latencies":
        """With one more, which took this long."""
        counts = list(self.counts)
        counts[bisect_left(LONGEST_MS, ms)] += 1
        return Latencies(tuple(counts))

    def __add__(self, other: "Latencies") -> "Latencies":
        pairs = zip(self.counts, other.counts, strict=True)
        return Latencies(tuple([one + another for one, another in pairs]))

    @property
    def text(self) -> str:
        """Those that are not 0, as Redis has them."""
        counted = enumerate(self.counts)
        return ",".join([f"{class_}:{count}" for class_, count in counted if count])

    def quantile_ms(self, part: float) -> float | None:
        """The time within which this part of all ended; None where there are none.

        >>> round(Latencies().with_one(100).quantile_ms(0.5))
        79
        """
        left = part * sum(self.counts)
        for class_, count in enumerate(self.counts):
            if count and left <= count:
                longest = _SHORTEST_MS * _RATIO**class_
                return longest * _RATIO ** (left / count - 1) if class_ else longest
            left -= count
        return None


def read_latencies(text: str) -> Latencies:
    """What `text` said. What can't be read counts as nothing.

    >>> read_latencies("0:1,1:2,99:5,x").text
    '0:1,1:2'
    """
    counts = [0] * CLASSES
    for class_, count in _COUNT.findall(text):
        if int(class_) < CLASSES:
            counts[int(class_)] += int(count)
    return Latencies(tuple(counts))
