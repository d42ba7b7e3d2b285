"""Kills the worker of a stream in the middle of it."""

import time
from dataclasses import dataclass
from itertools import pairwise

from testing.twins import Twin, Twins
from tests.kills.streams import TOKENS, Stream, Told


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was told with a death and without, and the longest wait for a piece of text."""

    told: Told
    expected: Told
    longest_s: float

    @property
    def is_whole(self) -> bool:
        """Whether nobody could see that a worker died."""
        return self.told == self.expected


def kill_in(stream: Stream, both: Twins, number: int, part: str) -> Outcome:
    """Asks question number such and such twice; the second time a part of its worker dies."""
    expected = stream.whole(both, number)
    at, killed, times = 1 + number * 37 % (TOKENS // 3), list[Twin](), list[float]()

    def hear(worker: str, pieces: int) -> None:
        times.append(time.monotonic())
        if pieces >= at and not killed:
            killed.append(both.twin_of(worker))
            killed[0].kill(part)

    try:
        told = stream.streamed(both, number, hear)
    finally:
        for twin in killed:
            both.revive(twin, part)
    assert killed, "the answer was too short"
    waits = [after - before for before, after in pairwise(times)]
    return Outcome(told, expected, max(waits))
