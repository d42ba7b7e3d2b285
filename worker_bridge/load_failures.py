"""Models that could not be loaded: each rests for a time that grows."""

import logging
import time
from dataclasses import dataclass

from worker_bridge.shelf import Shelved

log = logging.getLogger("llamaq.bridge")

_FIRST_PAUSE_S = 10.0
_LONGEST_PAUSE_S = 600.0


@dataclass(frozen=True, slots=True)
class _Failure:
    model: Shelved
    until: float
    pause_s: float
    why: str


class LoadFailures:
    """The failed loads of one machine, by model. A changed file is another model."""

    def __init__(self) -> None:
        self._known: dict[str, _Failure] = {}

    def note(self, model: Shelved, why: str, last_words: str) -> None:
        """The model could not be loaded."""
        before = self._known.get(model.name)
        doubled = 2 * before.pause_s if before is not None and before.model == model else 0
        pause_s = min(_LONGEST_PAUSE_S, max(_FIRST_PAUSE_S, doubled))
        whole = f"{why}, and wrote last: {last_words}" if last_words else why
        self._known[model.name] = _Failure(model, time.monotonic() + pause_s, pause_s, whole)
        log.error(
            "model=%s can't be loaded: %s. Requests for it get an error for %.0f s; then it is "
            "tried again.",
            model.name,
            whole,
            pause_s,
        )

    def forget(self, name: str) -> None:
        """The model of this name was loaded."""
        self._known.pop(name, None)

    def why(self, name: str) -> str:
        """Why the model of this name could not be loaded."""
        return self._known[name].why if name in self._known else ""

    def rests(self, model: Shelved | None) -> bool:
        """Whether the model is not to be tried now."""
        failure = self._known.get(model.name) if model is not None else None
        return failure is not None and failure.model == model and time.monotonic() < failure.until
