"""Which model a name stands for, and where two have one name."""

from collections.abc import Mapping

import pytest

from api.names import model_named, shared_names
from dispatcher.registry import ModelState
from tests.unit.api.service import a_model, a_worker


def live(*aliases: str, past: tuple[str, ...] = ()) -> ModelState:
    return a_model(a_worker(aliases=aliases), past_aliases=past)


def away(seen_s: float, *past: str) -> ModelState:
    return a_model(seen_s=seen_s, past_aliases=past)


@pytest.mark.parametrize(
    ("models", "found"),
    [
        ({}, None),
        ({"a": live("y")}, None),
        ({"a": live("x")}, "a"),
        ({"x": live(), "a": live("x")}, "x"),
        ({"x": away(5), "a": live("x")}, "x"),
        ({"x": away(70), "a": live("x")}, "a"),
        ({"x": away(70), "a": away(5, "x")}, "x"),
        ({"b": live("x"), "a": live("x")}, "a"),
        ({"b": live("x"), "a": away(5, "x")}, "b"),
        ({"b": live("x"), "a": live(past=("x",))}, "b"),
        ({"b": away(5, "x"), "a": live(past=("x",))}, "a"),
        ({"b": away(5, "x"), "a": live("y")}, "b"),
    ],
)
def test_name_stands_for_one_model(models: Mapping[str, ModelState], found: str | None) -> None:
    assert model_named("x", models) == found
    assert model_named("x", dict(reversed(models.items()))) == found


def test_aliases_are_those_of_all_workers_of_a_model() -> None:
    model = a_model(a_worker(aliases=("y", "x")), a_worker(aliases=("x", "z")), a_worker())
    assert model.aliases == ("x", "y", "z")


def test_names_are_shared_by_live_models_alone() -> None:
    assert shared_names({"a": live("x", "y"), "b": live("x"), "y": away(70)}) == {("x", "a", "b")}
    assert shared_names({"a": live("b"), "b": live()}) == {("b", "a", "b")}
    assert shared_names({"a": live("x"), "b": away(5, "x")}) == set()
