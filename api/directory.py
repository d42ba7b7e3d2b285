"""Which models there are and who serves them: a copy of the registry, 1 s old at most."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress

from api.errors import ApiError
from api.inability import at_rest, never_served, not_loaded, unable, unnamed
from api.names import is_here, models_meant, with_given
from api.notices import Notices
from api.past_models import as_if_left
from dispatcher.aliases import read_aliases
from dispatcher.beat import until_beat_s
from dispatcher.connection import LinkedRedis
from dispatcher.errors import LlamaqError, ModelUnavailable, RedisUnavailable
from dispatcher.invited_keeper import InvitedKeeper
from dispatcher.model_state import ModelState
from dispatcher.needs import ANYBODY, Needs
from dispatcher.protocol import worker_is_strange
from dispatcher.registry import read_registry
from dispatcher.worker_state import WorkerState

log = logging.getLogger("llamaq.directory")

_REFRESH_S = 1.0


class Directory:
    """Every model that workers serve or have served, and the `aliases` that operators give them.

    An alias in Redis goes before one of those that the directory is made with.
    The `keeper` is told what was read of invitations.
    `announce` makes this API known to the bridges of a model, which then can say that they don't
    understand it. The `readers` read at the same times what else every API must know soon.
    One that `wakes` machines lets requests wait for models that were seen within a day.
    """

    def __init__(
        self,
        redis: LinkedRedis,
        grace_s: float,
        announce: Callable[[str], Awaitable[None]] | None = None,
        aliases: Mapping[str, str] | None = None,
        readers: Sequence[Callable[[LinkedRedis], Awaitable[None]]] = (),
        keeper: InvitedKeeper | None = None,
    ) -> None:
        self.models: Mapping[str, ModelState] = {}
        self._kept_aliases = dict(aliases or {})
        self.aliases: Mapping[str, str] = self._kept_aliases
        self._announce = announce
        self._keeper = keeper
        self._redis = redis
        self._readers = readers
        self._grace_s = grace_s
        self._read_at = self._back_at = float("-inf")
        self._failure: str | None = None
        self._reading = asyncio.Lock()
        self._notices = Notices()
        self.wakes = False

    async def run(self) -> None:
        """Keeps the copy fresh, for ever."""
        while True:
            try:
                await self.refresh()
            except RedisUnavailable as error:
                log.warning("%s", error.message)
            await asyncio.sleep(until_beat_s(_REFRESH_S))

    async def refresh(self, max_age_s: float = 0.0) -> None:
        """Reads the registry, unless that was done lately. Callers share one look, and its failure.

        Raises `RedisUnavailable`.
        """
        asked_at = time.monotonic() - max_age_s
        async with self._reading:
            if self._read_at < asked_at:
                await self._read()
            elif self._failure is not None:
                raise RedisUnavailable(self._failure)

    async def _read(self) -> None:
        last_at, self._read_at = self._read_at, time.monotonic()
        try:
            redis, others = self._redis, (read(self._redis) for read in self._readers)
            registry, set_, _ = await asyncio.gather(
                read_registry(redis), read_aliases(redis), asyncio.gather(*others)
            )
        except RedisUnavailable as error:
            self._back_at, self._failure = float("inf"), error.message
            raise
        self._failure = None
        self._back_at = min(self._back_at, time.monotonic())
        kept = as_if_left(self.models, self._read_at - last_at)
        self.aliases = {**self._kept_aliases, **set_}
        models = kept | {state.model: state for state in registry.models}
        before, self.models = self.models, with_given(models, self.aliases)
        self._notices.tell(before, self.models, self.aliases)
        if self._keeper is not None:
            await self._keeper.heed(registry)

    async def require(self, name: str, needs: Needs = ANYBODY) -> str:
        """The own name of the model that a client calls `name`, empty where it names none.

        Where several may be meant, it is one that meets these needs (`models_meant`). Raises
        `ApiError` 400 where an empty name could be several, and `ModelNotFound`. Raises
        `ModelUnavailable` for a model that nobody has served lately, or where no model is known.
        """
        if name not in self.aliases and self.serves(name):  # most often
            return name
        meant = self._meant(name, needs)
        if len(meant) != 1 or not self.serves(meant[0]):
            await self.refresh()
            meant = self._meant(name, needs)
        if not self.models:  # Redis is new, or has lost its data
            raise self.unavailable(name)
        if len(meant) != 1:
            raise self._not_found(name)
        state = self.models[meant[0]]
        if state.workers and not self.serves(state.model) and not self._rests(state.model):
            if not all(worker.is_understood for worker in state.workers):
                await self._tell_of_strangers(state.model)
            raise self.unavailable(state.model)
        if not is_here(state) and not self.wakes:
            raise self.unavailable(state.model)
        return state.model

    def _meant(self, name: str, needs: Needs) -> list[str]:
        return models_meant(
            name, self.models, self.aliases, lambda model: self.is_able(model, needs)
        )

    def _not_found(self, name: str) -> ApiError | LlamaqError:
        titles = [state.title for state in self.models.values() if state.workers]
        served = ", ".join(sorted(titles))
        if name:
            return never_served(name, self.aliases.get(name, name), served)
        return unnamed(served) if served else self.unavailable("")

    def state(self, name: str) -> ModelState | None:
        """The model that clients get by this name, if there ever was one."""
        meant = self._meant(name, ANYBODY)
        return self.models[meant[0]] if len(meant) == 1 else None

    async def require_able(self, model: str, needs: Needs) -> None:
        """Raises `ApiError` if workers serve the model, but none that meets these needs: 501 for
        one that serves another endpoint, 400 for media.
        """
        if self.is_able(model, needs):
            return
        await self.refresh()  # one may have come within the last second
        if not self.is_able(model, needs):
            raise unable(model, needs)

    def makes_text(self, model: str) -> bool:
        """Whether all workers of this model make text, as far as is known."""
        state = self.models.get(model)
        for worker in state.workers if state else ():
            if worker.endpoints and not worker.makes_text and worker.is_understood:
                return False
        return True

    async def _tell_of_strangers(self, model: str) -> None:
        log.error("%s", self.unavailable(model).message)
        if self._announce is not None:
            with suppress(RedisUnavailable):
                await self._announce(model)

    def _workers(self, model: str) -> list[WorkerState]:
        """Those that understand this API, and have the model or could load it."""
        state = self.models.get(model)
        return [worker for worker in state.workers if worker.may_serve] if state else []

    def _rests(self, model: str) -> bool:
        """Whether a worker of this model could serve it, were it not drained or paused."""
        return any(worker.rests for worker in self._workers(model))

    def is_able(self, model: str, needs: Needs) -> bool:
        """Whether the model has a worker, be it at rest, that meets these needs, or none at all."""
        if needs == ANYBODY:
            return True
        workers = self._workers(model)
        return not workers or any(worker.may_meet(needs) for worker in workers)

    def serves(self, model: str) -> bool:
        """Whether a worker of this model lives that understands this API, be it busy or loading, or
        a bridge that could load it.
        """
        state = self.models.get(model)
        if state is not None:
            for worker in state.workers:
                if worker.may_serve and not worker.rests:
                    return True
        return False

    def is_loading(self, model: str) -> bool:
        """Whether nobody serves this model yet, and a worker loads it now."""
        return model in self.models and self.models[model].is_loading

    def queued(self, model: str) -> int:
        """How many jobs wait for this model."""
        state = self.models.get(model)
        return state.queued if state else 0

    def mean_completion(self, model: str) -> float:
        """Tokens of an average answer of this model, 0 if unknown."""
        state = self.models.get(model)
        return state.mean_completion if state else 0

    def context(self, model: str) -> int:
        """Tokens that a slot of the model's largest worker holds, 0 where that is not known."""
        state = self.models.get(model)
        return max([worker.context for worker in state.workers], default=0) if state else 0

    def given_up(self, model: str, waited_s: float) -> bool:
        """Whether a client that has waited for `waited_s` has waited long enough for a worker."""
        state = self.models.get(model)
        is_away = state is not None and not state.workers
        away_s = state.seen_s if state and is_away else waited_s
        if state is not None and any(worker.has_failed for worker in state.workers):
            return not self.serves(model)
        # Workers need a moment too, once Redis is back.
        looking_s = time.monotonic() - self._back_at
        return not self.serves(model) and min(waited_s, away_s, looking_s) > self._grace_s

    def lacks(self, model: str, needs: Needs, waited_s: float) -> bool:
        """Whether a client that has waited for `waited_s` has waited long enough for a worker that
        meets these needs, while others serve the model.
        """
        workers = self._workers(model)
        rest = all(worker.rests for worker in workers if worker.may_meet(needs))
        return waited_s > self._grace_s and bool(workers) and rest

    def unavailable(self, model: str) -> ModelUnavailable:
        """What to tell those who need this model."""
        if self._rests(model):
            return at_rest(model)
        state = self.models.get(model)
        for worker in state.workers if state and not self.serves(model) else ():
            if worker.is_understood:
                return not_loaded(model, worker)
            return ModelUnavailable(worker_is_strange(model, worker.id, worker.protocol))
        which = f"the model '{model}'" if model else "any model"
        return ModelUnavailable(
            f"No worker serves {which} now. Start its llama-server and its bridge, "
            "or try again later."
        )
