"""What is known of models though Redis tells nothing of them any more. Pure."""

from dataclasses import replace

from api.names import Models
from dispatcher.announcement import REMEMBERED_S
from dispatcher.model_state import ModelState


def as_if_left(models: Models, later_s: float) -> dict[str, ModelState]:
    """The models `later_s` seconds later, as if their workers had left. A Redis that lost its data
    knows no model until the workers have joined again.
    """
    return {
        model: _without_workers(state, later_s)
        for model, state in models.items()
        if state.seen_s + later_s < REMEMBERED_S
    }


def _without_workers(state: ModelState, later_s: float) -> ModelState:
    names = {*state.past_aliases, *state.worker_aliases}
    seen_s = state.seen_s + later_s
    return replace(state, seen_s=seen_s, workers=(), queued=0, past_aliases=tuple(names))
