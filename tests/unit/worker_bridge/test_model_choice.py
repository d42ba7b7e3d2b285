"""Which model a bridge loads, and when it parts with it."""

from math import inf
from typing import Any

import pytest

from dispatcher.demand import Demand
from worker_bridge import demands
from worker_bridge.demands import Demands
from worker_bridge.model_choice import Patience, Step, Tenure, choose, quiet_s

BOUND_S = 5
PATIENCE = Patience(swap_after_s=BOUND_S, unload_after_s=600)
NOBODY: dict[str, Demand] = {}


def wanted(waited_s: float, **more: Any) -> Demand:
    return Demand(**{"jobs": 1, "waited_s": waited_s, **more})


def loaded(**more: Any) -> Tenure:
    """A model that was loaded long ago, and has no jobs."""
    return Tenure("a", **{"loaded_s": 100, **more})


READY = {"gives_way": True}


@pytest.mark.parametrize(
    ("others", "step"),
    [
        (NOBODY, (Step.STAY, "")),
        ({"b": Demand()}, (Step.STAY, "")),
        ({"b": wanted(0)}, (Step.LOAD, "b")),
        ({"b": wanted(1), "c": wanted(2)}, (Step.LOAD, "c")),
        ({"b": wanted(1), "c": wanted(1)}, (Step.LOAD, "b")),
        # A worker that has the model loaded is preferred, for as long as the bound.
        ({"b": wanted(4.9, slots=2)}, (Step.STAY, "")),
        ({"b": wanted(5, slots=2)}, (Step.LOAD, "b")),
        ({"b": wanted(4, slots=2), "c": wanted(1)}, (Step.LOAD, "c")),
    ],
)
def test_where_nothing_is_loaded(others: dict[str, Demand], step: tuple[Step, str]) -> None:
    assert choose(None, others, PATIENCE) == step


@pytest.mark.parametrize(
    ("tenure", "others", "step"),
    [
        # Nobody waits for another model.
        (loaded(run=1, wait=9), NOBODY, (Step.STAY, "a")),
        (loaded(run=1, **READY), NOBODY, (Step.STAY, "a")),
        # Somebody does, and not for long.
        (loaded(), {"b": wanted(4.5)}, (Step.STAY, "a")),
        (loaded(), {"b": wanted(4.6)}, (Step.MAKE_ROOM, "b")),
        (loaded(**READY), {"b": wanted(4.7)}, (Step.MAKE_ROOM, "b")),
        (loaded(**READY), {"b": wanted(4.8)}, (Step.LOAD, "b")),
        # The old server has ended at the bound: its end has its time before.
        (loaded(parting_s=2), {"b": wanted(2.5)}, (Step.STAY, "a")),
        (loaded(parting_s=2), {"b": wanted(2.6)}, (Step.MAKE_ROOM, "b")),
        (loaded(parting_s=2, **READY), {"b": wanted(2.7)}, (Step.MAKE_ROOM, "b")),
        (loaded(parting_s=2, **READY), {"b": wanted(2.8)}, (Step.LOAD, "b")),
        (loaded(parting_s=99, **READY), {"b": wanted(0)}, (Step.LOAD, "b")),
        # No claim may be on its way.
        (loaded(is_claiming=True, **READY), {"b": wanted(50)}, (Step.MAKE_ROOM, "b")),
        (loaded(), {"b": wanted(50)}, (Step.MAKE_ROOM, "b")),
        # What runs ends first, at about the bound: it stops claiming by so much earlier.
        (loaded(run=1, **READY), {"b": wanted(500)}, (Step.MAKE_ROOM, "b")),
        (loaded(run=1, service_s=3), {"b": wanted(1.5)}, (Step.STAY, "a")),
        (loaded(run=1, service_s=3), {"b": wanted(1.6)}, (Step.MAKE_ROOM, "b")),
        (loaded(run=1, service_s=2, parting_s=1), {"b": wanted(1.6)}, (Step.MAKE_ROOM, "b")),
        (loaded(wait=1, service_s=3), {"b": wanted(2)}, (Step.STAY, "a")),
        (loaded(run=1, service_s=99), {"b": wanted(0)}, (Step.MAKE_ROOM, "b")),
        (loaded(run=1, service_s=99), {"b": Demand()}, (Step.STAY, "a")),
        # Those for whom it was loaded get their turn, whoever waits, but not for longer than the
        # bound: its server may be broken.
        (loaded(wait=2, owed=2, begun=1, loaded_s=1), {"b": wanted(60)}, (Step.STAY, "a")),
        (loaded(wait=2, owed=2, begun=2, loaded_s=1), {"b": wanted(60)}, (Step.MAKE_ROOM, "b")),
        (loaded(wait=0, owed=2, begun=1, loaded_s=1), {"b": wanted(60)}, (Step.MAKE_ROOM, "b")),
        (loaded(wait=2, owed=2, begun=0, loaded_s=5), {"b": wanted(60)}, (Step.MAKE_ROOM, "b")),
        # Of several the one that was waited for longest.
        (loaded(**READY), {"b": wanted(6), "c": wanted(9)}, (Step.LOAD, "c")),
        # A model that another worker has is no reason to send anybody away.
        (loaded(run=1), {"b": wanted(60, slots=1)}, (Step.STAY, "a")),
        (loaded(wait=1), {"b": wanted(60, slots=1)}, (Step.STAY, "a")),
        (loaded(**READY), {"b": wanted(60, slots=1)}, (Step.LOAD, "b")),
        # It is idle for long.
        (loaded(idle_s=599), NOBODY, (Step.STAY, "a")),
        (loaded(idle_s=600), NOBODY, (Step.MAKE_ROOM, "a")),
        (loaded(idle_s=600, **READY), NOBODY, (Step.UNLOAD, "a")),
        # Its file is another one now.
        (loaded(run=1, wanted=False, **READY), NOBODY, (Step.MAKE_ROOM, "a")),
        (loaded(wanted=False, **READY), NOBODY, (Step.UNLOAD, "a")),
    ],
)
def test_where_a_model_is_loaded(
    tenure: Tenure, others: dict[str, Demand], step: tuple[Step, str]
) -> None:
    assert choose(tenure, others, PATIENCE) == step


@pytest.mark.parametrize(
    ("tenure", "others", "left_s"),
    [
        (loaded(), NOBODY, inf),
        (loaded(), {"b": Demand()}, inf),
        (loaded(), {"b": wanted(1)}, 3.6),
        (loaded(), {"b": wanted(1), "c": wanted(2)}, 2.6),
        (loaded(run=1, service_s=1, parting_s=0.5), {"b": wanted(1)}, 2.1),
        (loaded(), {"b": wanted(9)}, 0),
        (loaded(run=1), {"b": wanted(9, slots=1)}, inf),
    ],
)
def test_bridge_knows_when_a_bound_comes_due(
    tenure: Tenure, others: dict[str, Demand], left_s: float
) -> None:
    """It wakes then, and needs not look again and again."""
    assert quiet_s(tenure, others, PATIENCE) == pytest.approx(left_s)


def test_model_is_never_unloaded_where_that_is_said() -> None:
    assert choose(loaded(idle_s=1e9), NOBODY, Patience(5, 0)) == (Step.STAY, "a")


def test_short_bound_makes_room_at_once() -> None:
    assert choose(loaded(run=1), {"b": wanted(0)}, Patience(0.4, 0))[0] is Step.MAKE_ROOM


def test_jobs_wait_on_while_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(demands.time, "monotonic", lambda: now)
    seen = Demands()
    seen.note("b", wanted(2))
    now += 0.5
    assert seen.of("b").waited_s == 2.5
    assert seen.of("unknown") == Demand()
    seen.forget("b")
    assert seen.of("b") == Demand()


def test_where_another_worker_has_loaded_a_model_its_jobs_wait_from_then_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They have waited for the load, and that worker takes them now."""
    now = 100.0
    monkeypatch.setattr(demands.time, "monotonic", lambda: now)
    seen = Demands()
    seen.note("b", wanted(30))
    seen.note("b", wanted(30, slots=2))
    assert seen.of("b").waited_s == 0
    now += 4
    seen.note("b", wanted(34, slots=2))
    assert seen.of("b").waited_s == 4
    seen.note("b", wanted(34))  # it is gone again
    assert seen.of("b").waited_s == 34
