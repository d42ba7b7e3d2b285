"""Measures how noisy the machine is: the cost of fixed work, and the CPU of other programs."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

MOST_DRIFT = 0.10  # of the calibration, between the turns of one system and of another
MOST_OTHERS = 0.3  # cores that other programs may take before times mean nothing
MOST_SPREAD = 1.5  # of the CPU times of one system's runs, scaled by their calibrations
_ROUNDS = 9


@dataclass(frozen=True, slots=True)
class Noise:
    """Of a scenario's turns: how far the systems' calibrations differ, by their medians, and the
    cores that others took, typically."""

    drift: float
    others: float

    @property
    def hides_cpu(self) -> bool:
        """Whether CPU times can't be compared."""
        return self.drift > MOST_DRIFT

    @property
    def hides_times(self) -> bool:
        """Whether latencies and rates can't be compared."""
        return self.hides_cpu or self.others > MOST_OTHERS

    def __str__(self) -> str:
        return (
            f"a fixed work cost {self.drift:.0%} more at some system's turns than at another's, "
            f"other programs took {self.others:.2f} cores"
        )


def noise(calibrations_ms: Mapping[str, Sequence[float]], others: Sequence[float]) -> Noise:
    """From what was measured at each turn, calibrations by system."""
    typical = [median(values) for values in calibrations_ms.values()]
    return Noise(max(typical) / min(typical) - 1, median(others))


def calibrate() -> float:
    """CPU milliseconds that a fixed work takes now: the median of some rounds."""
    return median(_work_ms() for _ in range(_ROUNDS))


def _work_ms() -> float:
    began = time.process_time()
    for number in range(1500):
        text = json.dumps({"number": number, "words": ["some", "words"] * 4})
        json.loads(text.encode())
    return (time.process_time() - began) * 1000
