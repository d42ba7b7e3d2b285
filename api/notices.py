"""Warnings about the names of models, and about workers of one model that differ."""

import logging
from collections.abc import Mapping

from api.arrivals import changes
from api.names import Models, is_here, model_named, shared_names
from dispatcher.model_state import ModelState
from dispatcher.row import printable
from dispatcher.variants import Variant, variants_of, what_differs

log = logging.getLogger("llamaq.directory")


class Notices:
    """Logs each thing when it begins, and again only after it was over."""

    def __init__(self) -> None:
        self._told: set[tuple[str, ...]] = set()

    def tell(self, before: Models, now: Models, given: Mapping[str, str]) -> None:
        """Tells what is new between two looks at the registry."""
        for line in changes(before, now):
            log.info("%s", line)
        lines = _lines(now, given)
        for key in sorted(lines.keys() - self._told):
            log.warning("%s", printable(lines[key]))
        self._told = set(lines)


def _lines(models: Models, given: Mapping[str, str]) -> dict[tuple[str, ...], str]:
    """What there is to tell. A key names what makes it another thing."""
    lines = {}
    for name, *held in shared_names(models):
        if name not in given:
            lines[("shared", name, *held)] = _shared(name, held, model_named(name, models))
    for name, model in given.items():
        if name in models and is_here(models[name]):
            lines[("hidden", name, model)] = (
                f"'{name}' is an operator's alias for '{model}', which gets its requests, though "
                "there is a model of this name."
            )
    for state in models.values():
        variants = variants_of(state.workers)
        if len(variants) > 1:
            prints = (variant.fingerprint for variant in variants)
            lines[("differ", state.model, *sorted(prints))] = _differing(state, variants)
    return lines


def _shared(name: str, held: list[str], first: str | None) -> str:
    return (
        f"'{name}' is a name of {', '.join(held)}: '{first}' gets its requests. Give the others "
        "another --alias."
    )


def _differing(state: ModelState, variants: list[Variant]) -> str:
    told = "; ".join(
        f"{variant.title}: {', '.join(worker.id for worker in variant.workers)}"
        for variant in variants
    )
    return (
        f"Workers of the model '{state.model}' differ in their {what_differs(variants)}: {told}. "
        "Each may get its requests, but a stream that breaks off goes on only at a worker with an "
        "equal one. To tell them apart, give the bridges of some another --model (LLAMAQ_MODEL)."
    )
