"""Which model a request means that names none."""

import pytest

from api.errors import ApiError
from dispatcher.errors import ModelUnavailable
from dispatcher.model_state import ModelState
from dispatcher.needs import COMPLETION, INFILL, Needs
from testing.service import Registry, a_model, a_worker

FILLS = Needs(frozenset({INFILL}))


def directory(*states: ModelState) -> Registry:
    registry = Registry()
    registry.models = {state.model: state for state in states}
    return registry


def served(model: str, *, fills: bool = False) -> ModelState:
    endpoints = {COMPLETION, INFILL} if fills else {COMPLETION}
    return a_model(a_worker(endpoints=frozenset(endpoints)), model=model)


async def test_it_is_the_only_one() -> None:
    assert await directory(served("m")).require("") == "m"


async def test_it_is_waited_for_where_its_workers_left_a_moment_ago() -> None:
    models = a_model(model="m", seen_s=40.0), a_model(model="gone", seen_s=80.0)
    assert await directory(*models).require("") == "m"


async def test_of_several_it_is_the_one_that_can_serve_the_request() -> None:
    registry = directory(served("a"), served("b", fills=True), a_model(model="c", seen_s=40.0))
    assert await registry.require("", FILLS) == "b"


@pytest.mark.parametrize("fill", [(), ("a", "b")], ids=["none", "both"])
async def test_where_that_is_not_one_the_models_are_told(fill: tuple[str, ...]) -> None:
    registry = directory(*(served(name, fills=name in fill) for name in ("a", "b")))
    with pytest.raises(ApiError, match="Served now: a, b") as refused:
        await registry.require("", FILLS)
    assert (refused.value.status, refused.value.param) == (400, "model")


async def test_one_that_has_just_come_is_found() -> None:
    registry = directory(served("a"), served("b"))
    registry.fresh = {"a": served("a"), "b": served("b", fills=True)}
    assert await registry.require("", FILLS) == "b"


async def test_where_there_is_none_nobody_serves_any() -> None:
    with pytest.raises(ModelUnavailable, match="any model"):
        await directory().require("")


async def test_where_all_have_left_nobody_serves_any() -> None:
    gone = (a_model(model=name, seen_s=80.0) for name in ("a", "b"))
    with pytest.raises(ModelUnavailable, match="any model"):
        await directory(*gone).require("")
