"""A model, as the API and `llamaq status` see it."""

from dataclasses import dataclass

from dispatcher.aliases import ANY
from dispatcher.facts import LOADING, UNLOADED
from dispatcher.reply import eta_s
from dispatcher.worker_state import WorkerState

_SHOWN_ALIASES = 3


@dataclass(frozen=True, slots=True)
class ModelState:
    """A model that workers serve, or served `seen_s` seconds ago for the last time.

    The means are over about the last sixteen answers, 0 where there were none; `mean_completion` is
    in tokens. Its workers have had `past_aliases` within a day. Operators have given it the names
    in `given`. It was first served at `first_served_s`, Unix time, 0 where that is not known. The
    machines `invited` to serve it can write whatever they like to its keys.
    """

    model: str
    seen_s: float
    workers: tuple[WorkerState, ...]
    queued: int
    queued_bytes: int
    mean_completion: float = 0
    mean_service_ms: float = 0
    past_aliases: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
    first_served_s: int = 0
    invited: tuple[str, ...] = ()

    @property
    def worker_aliases(self) -> set[str]:
        """All names besides its own that its workers have for it."""
        return {name for worker in self.workers for name in worker.aliases}

    @property
    def aliases(self) -> tuple[str, ...]:
        """All names besides its own, in order."""
        return tuple(sorted(self.worker_aliases.union(self.given) - {ANY, self.model}))

    @property
    def is_default(self) -> bool:
        """Whether it gets the requests that name no model, or one that does not exist."""
        return ANY in self.given

    @property
    def title(self) -> str:
        """Its name, and some of the others.

        >>> one = WorkerState("w", "", "", True, 1, 0, 1, "", aliases=("a", "b", "c", "d", "e"))
        >>> ModelState("m", 0, (one,), 0, 0).title
        'm (also a, b, c and 2 more)'
        """
        shown, more = self.aliases[:_SHOWN_ALIASES], len(self.aliases) - _SHOWN_ALIASES
        rest = f" and {more} more" if more > 0 else ""
        return f"{self.model} (also {', '.join(shown)}{rest})" if shown else self.model

    @property
    def accepting(self) -> bool:
        """Whether a worker of this build takes jobs, or will once it has loaded the model."""
        return any(
            worker.is_understood and (worker.accepting or (worker.is_standby and not worker.rests))
            for worker in self.workers
            if not worker.has_failed
        )

    @property
    def is_loading(self) -> bool:
        """Whether nobody serves it yet, and a worker of this build loads it now."""
        workers = [worker for worker in self.workers if worker.is_understood]
        is_served = any(worker.accepting for worker in workers)
        return not is_served and any(worker.health == LOADING for worker in workers)

    @property
    def status(self) -> str:
        """Whether it is `loaded`, `loading` or `unloaded`: the words of llama-server's router."""
        if not all(worker.is_standby for worker in self.workers):
            return "loaded"
        is_loading = any(worker.health == LOADING for worker in self.workers)
        return LOADING if is_loading else UNLOADED

    @property
    def eta_s(self) -> int | None:
        """Seconds until the last waiting job is likely to start; None where unknown."""
        slots = sum(worker.slots for worker in self.workers if worker.accepting)
        return eta_s(self.queued, slots, self.mean_service_ms) if self.queued else 0
