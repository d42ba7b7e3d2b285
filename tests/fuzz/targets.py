"""What is fuzzed within this process: each a strategy, and what must hold for all that it makes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.fuzz import bodies, raw, tokens
from tests.fuzz.answers import frames_of
from tests.fuzz.bodies import Asked
from tests.fuzz.edge import Edge


@dataclass(frozen=True, slots=True)
class Target:
    """Inputs, and a check that raises for one that does harm. `share` is its part of all."""

    inputs: st.SearchStrategy[Any]
    check: Callable[[Any], object]
    share: float


def _answered(asked: Asked) -> st.SearchStrategy[tuple[Asked, list[bytes]]]:
    return st.tuples(st.just(asked), frames_of(asked.path))


def targets(edge: Edge) -> Mapping[str, Target]:
    """All of them, by name."""
    return {
        "bodies": Target(bodies.requests(), edge.ask, 1.0),
        "raw bytes": Target(raw.pieces(), edge.send, 0.2),
        "tokens": Target(tokens.ANYTHING, tokens.check, 0.2),
        "frames": Target(bodies.sensible().flatmap(_answered), lambda both: edge.ask(*both), 0.2),
    }
