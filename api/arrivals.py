"""Which workers have come and gone between two looks at the registry, as lines for the log."""

from collections.abc import Iterator, Mapping

from dispatcher.facts import LEFT
from dispatcher.model_state import ModelState
from dispatcher.worker_state import WorkerState


def changes(before: Mapping[str, ModelState], now: Mapping[str, ModelState]) -> list[str]:
    """A line for each worker that is only in one of the two."""
    old, new = dict(_workers(before)), dict(_workers(now))
    came = [_arrival(*new[name]) for name in sorted(new.keys() - old.keys())]
    gone = [f"worker={_word(name)} is gone" for name in sorted(old.keys() - new.keys())]
    return came + gone


def _workers(models: Mapping[str, ModelState]) -> Iterator[tuple[str, tuple[str, WorkerState]]]:
    for model, state in models.items():
        for worker in state.workers:
            if worker.health != LEFT:  # it is listed until it is reaped
                yield worker.id, (model, worker)


def _arrival(model: str, worker: WorkerState) -> str:
    if worker.is_standby:
        return (
            f"worker={_word(worker.id)} could load model={_word(model)} host={_word(worker.host)}"
        )
    return (
        f"worker={_word(worker.id)} serves model={_word(model)} server={_word(worker.server)} "
        f"host={_word(worker.host)} slots={worker.slots}"
    )


def _word(text: str) -> str:
    """What a worker says of itself can't forge a second field or line."""
    return "".join(c if c.isprintable() and c not in ' "=' else "_" for c in text) or "unknown"
