"""A short look of each kind. `python -m tests.fuzz` looks for longer."""

from collections.abc import Iterator

import pytest
from hypothesis import strategies as st

from tests.fuzz import bodies
from tests.fuzz.bodies import DOORS
from tests.fuzz.edge import Edge, Wrong
from tests.fuzz.exploring import explore
from tests.fuzz.keys import COMMANDS, DEEDS, OWN_DEEDS, Fleet
from tests.fuzz.targets import targets

MANY = {"bodies": 60, "raw bytes": 40, "tokens": 40, "frames": 40}


@pytest.fixture(scope="module")
def edge() -> Iterator[Edge]:
    with Edge() as edge:
        yield edge


@pytest.fixture(scope="module")
def fleet(real_redis_url: str) -> Iterator[Fleet]:
    with Fleet(real_redis_url) as fleet:
        yield fleet


@pytest.mark.parametrize("name", MANY)
def test_nothing_that_is_sent_is_a_crash(edge: Edge, name: str) -> None:
    target = targets(edge)[name]
    assert list(explore(target.inputs, target.check, MANY[name], 1)) == [MANY[name]]


def test_sensible_requests_are_answered(edge: Edge) -> None:
    """Else what is spoilt of them would reach nothing behind the first check."""
    answered = set()

    def ask(asked: bodies.Asked) -> None:
        assert edge.ask(asked) == 200
        answered.add(asked.path)

    list(explore(bodies.sensible(), ask, 60, 2))
    assert len(answered) > len(DOORS) / 3


def test_crash_is_found(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge.queue, "_tell", lambda *_: 1 / 0)
    with pytest.raises(Wrong, match="division by zero"):
        list(explore(bodies.sensible(), edge.ask, 5, 3))


@pytest.mark.real
def test_garbage_in_keys_of_no_model_stops_nobody(fleet: Fleet) -> None:
    list(explore(st.tuples(DEEDS, COMMANDS), lambda both: fleet.shared(*both), 12, 4))


@pytest.mark.real
def test_garbage_in_keys_of_a_model_ends_nothing_for_good(fleet: Fleet) -> None:
    list(explore(OWN_DEEDS, fleet.own, 4, 5))
