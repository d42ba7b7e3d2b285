"""Which model a name stands for, and where two have one name."""

from collections.abc import Mapping

import pytest

from api.names import model_named, models_meant, shared_names, with_given
from dispatcher.model_state import ModelState
from testing.service import a_model, a_worker


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


@pytest.mark.parametrize(
    ("models", "given", "found"),
    [
        ({"a": live(), "b": live("x")}, "a", "a"),  # before a worker's alias
        ({"a": live(), "x": live()}, "a", "a"),  # and before a model's own name
        ({"a": live("org/a"), "b": live("x")}, "org/a", "a"),
        ({"a": away(5, "org/a")}, "org/a", "a"),
        ({"a": live("x")}, "gone", None),
        ({"a": live("x"), "b": live()}, "y", None),  # no alias of an alias
    ],
)
def test_operators_name_comes_first(
    models: Mapping[str, ModelState], given: str, found: str | None
) -> None:
    assert model_named("x", models, {"x": given, "y": "b"}) == found


@pytest.mark.parametrize(
    ("name", "given", "able", "meant"),
    [
        ("a", {"*": "b"}, "ab", ["a"]),
        ("gpt", {}, "ab", []),
        ("gpt", {"*": "b"}, "ab", ["b"]),
        ("gpt", {"gpt": "a", "*": "b"}, "ab", ["a"]),
        ("gpt", {"gpt": "gone", "*": "b"}, "ab", []),
        ("gpt", {"*": "b"}, "a", ["a"]),  # an embedding, say, where the default only chats
        ("gpt", {"*": "b"}, "", ["b"]),  # which then says why it can't
        ("gpt", {"*": "b"}, "ac", ["b"]),
        ("gpt", {"*": "gone"}, "ab", ["a", "b"]),
        ("", {"*": "b"}, "ab", ["b"]),
        ("", {"*": "b"}, "a", ["a"]),
        ("", {}, "ab", ["a", "b"]),
        ("", {"*": "gone"}, "a", ["a"]),
        ("*", {"*": "b"}, "ab", ["b"]),
    ],
)
def test_default_stands_for_names_that_nobody_has(
    name: str, given: Mapping[str, str], able: str, meant: list[str]
) -> None:
    models = {"a": live(), "b": live(), "c": live()}
    assert models_meant(name, models, given, lambda model: model in able) == meant


def test_models_have_the_names_that_operators_give() -> None:
    models = {"a": live("x", "org/a"), "b": live()}
    named = with_given(models, {"y": "a", "*": "org/a", "b": "a", "n": "gone"})
    assert (named["a"].aliases, named["a"].is_default) == (("b", "org/a", "x", "y"), True)
    assert (named["b"].aliases, named["b"].is_default) == ((), False)
    assert with_given(named, {})["a"].aliases == ("org/a", "x")


def test_names_are_shared_by_live_models_alone() -> None:
    assert shared_names({"a": live("x", "y"), "b": live("x"), "y": away(70)}) == {("x", "a", "b")}
    assert shared_names({"a": live("b"), "b": live()}) == {("b", "a", "b")}
    assert shared_names({"a": live("x"), "b": away(5, "x")}) == set()
