"""Random numbers that follow from a seed, apart for each thing that they decide."""

from random import Random


def seeded(seed: int, what: str) -> Random:
    """A source of its own for what it decides."""
    return Random(f"{seed} {what}")  # noqa: S311
