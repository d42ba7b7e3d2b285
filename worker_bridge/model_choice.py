"""Which model a bridge loads, and when it parts with it. Pure: callers look and tell the time."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from math import inf

from dispatcher.demand import Demand

NOTICE_S = 0.2
"""A bridge notices within this time that jobs or a server have ended."""


class Step(Enum):
    """What the bridge does now."""

    STAY = auto()  # as it is; a model that was to make room takes jobs again
    MAKE_ROOM = auto()  # the model takes no more jobs, and those that run end
    LOAD = auto()  # a model in the place of the one that is loaded, which has no jobs
    UNLOAD = auto()


@dataclass(frozen=True, slots=True)
class Patience:
    """For how long jobs wait for a swap, and when a model without jobs is unloaded (0: never)."""

    swap_after_s: float
    unload_after_s: float


@dataclass(frozen=True, slots=True)
class Tenure:
    """The model that is loaded.

    `run`, `wait`: how many jobs it holds, and how many wait for it. It `is_claiming` while more may
    be on their way. It was loaded `loaded_s` ago and then `owed` slots to the jobs that had waited;
    `begun` counts the jobs begun since. It was without jobs for `idle_s`. It takes no more where it
    `gives_way`. A job holds a slot for `service_s`. Its server ends within `parting_s`. It is no
    longer `wanted` when its file has gone or changed.
    """

    name: str
    run: int = 0
    wait: int = 0
    is_claiming: bool = False
    owed: int = 0
    begun: int = 0
    loaded_s: float = 0
    idle_s: float = 0
    gives_way: bool = False
    service_s: float = 0
    parting_s: float = 0
    wanted: bool = True


def choose(
    loaded: Tenure | None, others: Mapping[str, Demand], patience: Patience
) -> tuple[Step, str]:
    """The next step, and the model that it is for.

    `others` are those that this bridge could load and that no other bridge loads now.

    >>> choose(None, {"b": Demand(jobs=1, waited_s=0.2)}, Patience(5, 600))
    (<Step.LOAD: 3>, 'b')
    >>> choose(Tenure("a", run=1), {"b": Demand(jobs=1, waited_s=3)}, Patience(5, 600))
    (<Step.STAY: 1>, 'a')
    >>> choose(Tenure("a", run=1), {"b": Demand(jobs=1, waited_s=5)}, Patience(5, 600))
    (<Step.MAKE_ROOM: 2>, 'b')
    """
    waiting = {name: demand for name, demand in others.items() if demand.jobs}
    if loaded is None:
        return _first(waiting, patience.swap_after_s)
    if not loaded.wanted:
        return _part(loaded)
    heir = _heir(loaded, waiting, patience.swap_after_s)
    if heir is not None:
        # The load begins at the bound: the old server has ended by then.
        due_s = patience.swap_after_s - loaded.parting_s - NOTICE_S
        return _make_way(loaded, heir, waiting[heir].waited_s >= due_s)
    if not loaded.run and not loaded.wait and 0 < patience.unload_after_s <= loaded.idle_s:
        return _part(loaded)
    return Step.STAY, loaded.name


def _first(waiting: Mapping[str, Demand], bound_s: float) -> tuple[Step, str]:
    """The choice while nothing is loaded: at once, unless another worker has loaded the model."""
    due = {
        name: demand.waited_s
        for name, demand in waiting.items()
        if not demand.slots or demand.waited_s >= bound_s
    }
    return (Step.LOAD, _longest(due)) if due else (Step.STAY, "")


def quiet_s(loaded: Tenure, others: Mapping[str, Demand], patience: Patience) -> float:
    """Seconds until the choice may change though no job comes or goes. Infinite: never.

    >>> round(quiet_s(Tenure("a"), {"b": Demand(jobs=1, waited_s=1)}, Patience(5, 600)), 1)
    3.6
    """
    waiting = {name: demand for name, demand in others.items() if demand.jobs}
    left_s = _left_s(loaded, waiting, patience.swap_after_s)
    return max(0.0, min(left_s.values(), default=inf))


def _left_s(loaded: Tenure, waiting: Mapping[str, Demand], bound_s: float) -> dict[str, float]:
    """In how many seconds the model must make room, for each model that may replace it."""
    # Running jobs must have ended at the bound, and the server too.
    ends_s = loaded.parting_s + (loaded.service_s if loaded.run else 0)
    lead_s = min(ends_s + 2 * NOTICE_S, bound_s)
    has_jobs = loaded.run > 0 or loaded.wait > 0
    return {
        name: bound_s - lead_s - demand.waited_s
        for name, demand in waiting.items()
        if not (has_jobs and demand.slots)  # its jobs get on elsewhere
    }


def _heir(loaded: Tenure, waiting: Mapping[str, Demand], bound_s: float) -> str | None:
    """The model for which this one must make room by now."""
    if loaded.wait and loaded.begun < loaded.owed and loaded.loaded_s < bound_s:
        return None  # else loads would serve nobody
    left_s = _left_s(loaded, waiting, bound_s)
    due = {name: waiting[name].waited_s for name, left in left_s.items() if left <= 0}
    return _longest(due) if due else None


def _make_way(loaded: Tenure, heir: str, is_due: bool) -> tuple[Step, str]:
    return (Step.LOAD if is_due and _is_free(loaded) else Step.MAKE_ROOM), heir


def _part(loaded: Tenure) -> tuple[Step, str]:
    return (Step.UNLOAD if _is_free(loaded) else Step.MAKE_ROOM), loaded.name


def _is_free(loaded: Tenure) -> bool:
    return loaded.gives_way and not loaded.run and not loaded.is_claiming


def _longest(waited: Mapping[str, float]) -> str:
    return min(waited, key=lambda name: (-waited[name], name))
