"""Which model a name stands for: a model's own name, or an alias that its workers have. Pure."""

from collections.abc import Callable, Mapping

from dispatcher.registry import ModelState

REMEMBERED_S = 60.0
"""A model seen within this time is waited for."""


def model_named(name: str, models: Mapping[str, ModelState]) -> str | None:
    """The model of this name; None if there never was one.

    A model's own name comes before another's alias, a name that a live worker has before one of
    workers that left, and of several models the first by name.
    """
    own = models.get(name)
    if own is not None and is_here(own):
        return name
    live = [model for model, state in models.items() if name in state.aliases]
    if not live and own is not None:
        return name
    past = [model for model, state in models.items() if name in state.past_aliases]
    return min(live or past, default=None)


def models_without_name(
    models: Mapping[str, ModelState], is_able: Callable[[str], bool]
) -> list[str]:
    """The models that a request may mean which names none: the only one that is here, else those
    that have a worker which `is_able` to serve it.
    """
    here = [model for model, state in models.items() if is_here(state)]
    if len(here) > 1:
        here = [model for model in here if models[model].workers and is_able(model)]
    return sorted(here)


def is_here(state: ModelState) -> bool:
    """Whether the model has workers, or had one a moment ago."""
    return bool(state.workers) or state.seen_s <= REMEMBERED_S


def shared_names(models: Mapping[str, ModelState]) -> set[tuple[str, ...]]:
    """Each alias that is a name of another live model too, and behind it those models."""
    holders: dict[str, set[str]] = {}
    for model, state in models.items():
        for name in state.aliases:
            owner = {name} if name in models and is_here(models[name]) else set()
            holders.setdefault(name, owner).add(model)
    return {(name, *sorted(held)) for name, held in holders.items() if len(held) > 1}
