"""Which model a bridge loads, and when it parts with it. Pure: callers look and tell the time."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from dispatcher.demand import Demand

SETTLED_S = 0.5
"""So long after a bridge has stopped claiming no claim is on its way."""
MAKE_ROOM_S = 1.5
"""It stops at least this long before a swap: it decides once a second, and has to settle."""


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

    It holds so many jobs that `run`, and so many `wait` for it. When it was loaded, `loaded_s` ago,
    it `owed` a slot to jobs that had waited, and it has `begun` so many since. It was without jobs
    for `idle_s`, and has made room for `giving_way_s`, 0 where it doesn't. A job holds a slot for
    `service_s`. It is no longer `wanted` when its file has gone or changed.
    """

    name: str
    run: int = 0
    wait: int = 0
    owed: int = 0
    begun: int = 0
    loaded_s: float = 0
    idle_s: float = 0
    giving_way_s: float = 0
    service_s: float = 0
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
        return _make_way(loaded, heir, waiting[heir].waited_s >= patience.swap_after_s)
    if not loaded.run and not loaded.wait and 0 < patience.unload_after_s <= loaded.idle_s:
        return _part(loaded)
    return Step.STAY, loaded.name


def _first(waiting: Mapping[str, Demand], bound_s: float) -> tuple[Step, str]:
    """Where nothing is loaded: at once, but for a model that another worker has loaded."""
    due = {
        name: demand.waited_s
        for name, demand in waiting.items()
        if not demand.slots or demand.waited_s >= bound_s
    }
    return (Step.LOAD, _longest(due)) if due else (Step.STAY, "")


def _heir(loaded: Tenure, waiting: Mapping[str, Demand], bound_s: float) -> str | None:
    """The model for which this one is to make room by now."""
    has_jobs = loaded.run > 0 or loaded.wait > 0
    if loaded.wait and loaded.begun < loaded.owed and loaded.loaded_s < bound_s:
        return None  # else loads would serve nobody
    # What runs is to end at about the bound.
    lead_s = max(MAKE_ROOM_S, loaded.service_s if loaded.run else 0)
    due = {
        name: demand.waited_s
        for name, demand in waiting.items()
        if demand.waited_s >= bound_s - min(lead_s, bound_s)
        and not (has_jobs and demand.slots)  # its jobs get on elsewhere
    }
    return _longest(due) if due else None


def _make_way(loaded: Tenure, heir: str, is_due: bool) -> tuple[Step, str]:
    is_free = not loaded.run and loaded.giving_way_s >= SETTLED_S
    return (Step.LOAD if is_free and is_due else Step.MAKE_ROOM), heir


def _part(loaded: Tenure) -> tuple[Step, str]:
    is_free = not loaded.run and loaded.giving_way_s >= SETTLED_S
    return (Step.UNLOAD if is_free else Step.MAKE_ROOM), loaded.name


def _longest(waited: Mapping[str, float]) -> str:
    return min(waited, key=lambda name: (-waited[name], name))
