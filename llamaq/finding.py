"""One line of `llamaq doctor`."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How it is."""

    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found in an area, and what to do; empty where there is nothing to do."""

    area: str
    state: State
    what: str
    advice: str = ""


def ok(area: str, what: str) -> Finding:
    """All is well."""
    return Finding(area, State.OK, what)


def warn(area: str, what: str, advice: str) -> Finding:
    """It works, and may fail one day."""
    return Finding(area, State.WARNING, what, advice)


def wrong(area: str, what: str, advice: str) -> Finding:
    """It does not work."""
    return Finding(area, State.WRONG, what, advice)
