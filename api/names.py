"""Which model a name stands for: a model's own name, or an alias that operators or workers give.

Pure. `given` are the aliases of operators, name → model; what that is called is a name too.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from dispatcher.aliases import ANY
from dispatcher.model_state import ModelState

REMEMBERED_S = 60.0
"""A model seen within this time is waited for."""

_NONE: Mapping[str, str] = MappingProxyType({})

Models = Mapping[str, ModelState]


def model_named(name: str, models: Models, given: Mapping[str, str] = _NONE) -> str | None:
    """The model of this name; None if there never was one.

    An operator's alias overrides all that workers say. Then a model's own name comes before
    another's alias, and the name of a live worker before that of one that left. Of several models
    it is the first by name.
    """
    name = given.get(name, name)
    own = models.get(name)
    if own is not None and is_here(own):
        return name
    live = [model for model, state in models.items() if name in state.worker_aliases]
    if not live and own is not None:
        return name
    past = [model for model, state in models.items() if name in state.past_aliases]
    return min(live or past, default=None)


def models_meant(
    name: str, models: Models, given: Mapping[str, str], is_able: Callable[[str], bool]
) -> list[str]:
    """The models that a request may mean by this name. It should be one.

    A name that nobody has, or an empty one, means the operator's default, if that `is_able` to
    serve the request. If not, it means the only other model that can. Without a default an empty
    name is the only model that is here, else the only one that can serve the request.
    """
    if name:
        model = model_named(name, models, given)
        if model is not None or name in given or ANY not in given:
            return [] if model is None else [model]
    default = model_named(ANY, models, given) if ANY in given else None
    if default is not None and is_able(default):
        return [default]
    able = _unnamed(models, is_able)
    return able if default is None or len(able) == 1 else [default]


def _unnamed(models: Models, is_able: Callable[[str], bool]) -> list[str]:
    here = [model for model, state in models.items() if is_here(state)]
    if len(here) > 1:
        here = [model for model in here if models[model].workers and is_able(model)]
    return sorted(here)


def is_here(state: ModelState) -> bool:
    """Whether the model has workers, or had one a moment ago."""
    return bool(state.workers) or state.seen_s <= REMEMBERED_S


def with_given(models: Models, given: Mapping[str, str]) -> dict[str, ModelState]:
    """The models, each with the names that operators give to it."""
    names: dict[str | None, list[str]] = {}
    for name in given:
        names.setdefault(model_named(name, models, given), []).append(name)
    return {
        model: replace(state, given=tuple(sorted(names.get(model, ()))))
        for model, state in models.items()
    }


def shared_names(models: Models) -> set[tuple[str, ...]]:
    """Each worker's alias that is a name of another live model too, followed by those models."""
    holders: dict[str, set[str]] = {}
    for model, state in models.items():
        for name in state.worker_aliases:
            owner = {name} if name in models and is_here(models[name]) else set()
            holders.setdefault(name, owner).add(model)
    return {(name, *sorted(held)) for name, held in holders.items() if len(held) > 1}
