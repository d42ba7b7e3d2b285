"""The fleet's speeds, and the requests that come."""

import random
from dataclasses import dataclass

from bench.standin_server import BYTES_PER_TOKEN

SPEEDS = {"A": 1.0, "B": 1.0, "C": 0.25}
SLOTS = 4
RATE, PROMPT_RATE = 100.0, 1000.0  # tokens per second of a fast slot
PROMPT_BYTES = 300
SIZES = {"20..180 tokens": (20, 180), "100 tokens each": (100, 100)}


@dataclass(frozen=True, slots=True)
class Job:
    """One request, due `at_s` after the start."""

    number: int
    prompt: str
    tokens: int
    at_s: float = 0

    @property
    def fast_s(self) -> float:
        """How long a fast slot takes."""
        return len(self.prompt) // BYTES_PER_TOKEN / PROMPT_RATE + (self.tokens - 1) / RATE


def make_jobs(number: int, sizes: tuple[int, int], seed: int, load: float = 0) -> list[Job]:
    """The same for the same seed. With `load`, a part of all speed, they come at random times."""
    chance = random.Random(f"{seed} {sizes}")  # noqa: S311
    jobs = []
    for index in range(number):
        prompt = f"Question {index} of {seed}: " + "".join(chance.choices("abcde fghi", k=300))
        jobs.append(Job(index, prompt[:PROMPT_BYTES], chance.randint(*sizes)))
    if not load:
        return jobs
    mean_s = (PROMPT_BYTES // BYTES_PER_TOKEN) / PROMPT_RATE + (sum(sizes) / 2 - 1) / RATE
    due_s = 0.0
    for index, job in enumerate(jobs):
        due_s += chance.expovariate(load * fleet_speed() / mean_s)
        jobs[index] = Job(job.number, job.prompt, job.tokens, due_s)
    return jobs


def fleet_speed() -> float:
    """Of all slots, in fast slots."""
    return SLOTS * sum(SPEEDS.values())
