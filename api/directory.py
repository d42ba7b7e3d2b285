"""Which models there are and who serves them: a copy of the registry, 1 s old at most."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace

from api.arrivals import changes
from api.errors import bad_request
from api.inability import unable
from api.names import is_here, model_named, models_without_name, shared_names
from dispatcher.announcement import REMEMBERED_S
from dispatcher.beat import until_beat_s
from dispatcher.connection import LinkedRedis
from dispatcher.errors import ModelNotFound, ModelUnavailable, RedisUnavailable
from dispatcher.needs import ANYBODY, Needs
from dispatcher.protocol import worker_is_strange
from dispatcher.registry import ModelState, WorkerState, read_models

log = logging.getLogger("llamaq.directory")

_REFRESH_S = 1.0


class Directory:
    """Every model that workers serve or have served.

    `announce` makes this API known to the bridges of a model, which then can say that they don't
    understand it.
    """

    def __init__(
        self,
        redis: LinkedRedis,
        grace_s: float,
        announce: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        self.models: Mapping[str, ModelState] = {}
        self._announce = announce
        self._redis = redis
        self._grace_s = grace_s
        self._read_at = self._back_at = float("-inf")
        self._reading = asyncio.Lock()
        self._told: set[tuple[str, ...]] = set()

    async def run(self) -> None:
        """Keeps the copy fresh, for ever."""
        while True:
            try:
                await self.refresh()
            except RedisUnavailable as error:
                log.warning("%s", error.message)
            await asyncio.sleep(until_beat_s(_REFRESH_S))

    async def refresh(self) -> None:
        """Reads the registry; callers share one look. Raises `RedisUnavailable`."""
        asked_at = time.monotonic()
        async with self._reading:
            if self._read_at < asked_at:
                await self._read()

    async def _read(self) -> None:
        before, self._read_at = self._read_at, time.monotonic()
        try:
            states = await read_models(self._redis)
        except RedisUnavailable:
            self._back_at = float("inf")
            raise
        self._back_at = min(self._back_at, time.monotonic())
        kept = self._forgotten(self._read_at - before)
        models = kept | {state.model: state for state in states}
        for line in changes(self.models, models):
            log.info("%s", line)
        self.models = models
        self._tell_shared_names()

    def _tell_shared_names(self) -> None:
        for name, *models in shared_names(self.models) - self._told:
            held, first = ", ".join(models), model_named(name, self.models)
            log.warning(
                "'%s' is a name of %s: '%s' gets its requests. Give the others another --alias.",
                *(name, held, first),
            )
            self._told.add((name, *models))

    def _forgotten(self, later_s: float) -> dict[str, ModelState]:
        """The models, as if their workers had left: a Redis that lost its data knows none of them
        until the workers have joined again.
        """
        return {
            model: _without_workers(state, later_s)
            for model, state in self.models.items()
            if state.seen_s + later_s < REMEMBERED_S
        }

    async def require(self, name: str, needs: Needs = ANYBODY) -> str:
        """The own name of the model that a client calls `name`; empty is the only one there is.

        Of several models that is the one that meets these needs. Raises `ApiError` 400 where that
        is not one, `ModelNotFound`, or `ModelUnavailable` for one that nobody has served lately, or
        where no model is known at all.
        """
        if not name:
            name = await self._unnamed(needs)
        state = self.state(name)
        if state is None or not self.serves(state.model):
            await self.refresh()
            state = self.state(name)
        if not self.models:  # Redis is new, or has lost its data: who knows what it knew
            raise self.unavailable(name)
        if state is None:
            raise ModelNotFound(
                f"No worker has ever served the model '{name}'. "
                f"Served now: {self._served_now() or 'none'}."
            )
        if state.workers and not self.serves(state.model):
            await self._tell_of_strangers(state.model)
            raise self.unavailable(name)
        if not is_here(state):
            raise self.unavailable(name)
        return state.model

    async def _unnamed(self, needs: Needs) -> str:
        """The model of a request that names none. Raises as `require` does."""
        if len(models := self._meant(needs)) != 1:
            await self.refresh()
            models = self._meant(needs)
        if len(models) == 1:
            return models[0]
        if not (served := self._served_now()):
            raise self.unavailable("")
        raise bad_request(
            "Name a model in `model`: there are several, and which one is meant can't be told. "
            f"Served now: {served}.",
            param="model",
        )

    def _served_now(self) -> str:
        return ", ".join(sorted(state.title for state in self.models.values() if state.workers))

    def _meant(self, needs: Needs) -> list[str]:
        return models_without_name(self.models, lambda model: self._able(model, needs))

    def state(self, name: str) -> ModelState | None:
        """The model that clients call `name`, if there ever was one."""
        model = model_named(name, self.models)
        return None if model is None else self.models[model]

    async def require_able(self, model: str, needs: Needs) -> None:
        """Raises `ApiError` if workers serve the model, but none that meets these needs: 501 for
        one that serves another endpoint, 400 for media.
        """
        if self._able(model, needs):
            return
        await self.refresh()  # one may have come within the last second
        if not self._able(model, needs):
            raise unable(model, needs)

    def makes_text(self, model: str) -> bool:
        """Whether all workers of this model make text, as far as is known."""
        return all(worker.makes_text for worker in self._workers(model))

    async def _tell_of_strangers(self, model: str) -> None:
        log.error("%s", self.unavailable(model).message)
        if self._announce is not None:
            with suppress(RedisUnavailable):
                await self._announce(model)

    def _workers(self, model: str) -> list[WorkerState]:
        """Those that understand this API."""
        state = self.models.get(model)
        return [worker for worker in state.workers if worker.is_understood] if state else []

    def _able(self, model: str, needs: Needs) -> bool:
        if needs == ANYBODY:
            return True
        workers = self._workers(model)
        able = (needs.met_by(w.context, w.abilities, w.fingerprint) for w in workers)
        return not workers or any(able)

    def serves(self, model: str) -> bool:
        """Whether a worker of this model lives that understands this API, be it busy or loading."""
        state = self.models.get(model)
        if state is not None:
            for worker in state.workers:
                if worker.is_understood:
                    return True
        return False

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
        """Whether one who has waited for so long has waited long enough for a worker to come."""
        state = self.models.get(model)
        is_away = state is not None and not state.workers
        away_s = state.seen_s if state and is_away else waited_s
        # Workers need a moment too, once Redis is back.
        looking_s = time.monotonic() - self._back_at
        return not self.serves(model) and min(waited_s, away_s, looking_s) > self._grace_s

    def lacks(self, model: str, needs: Needs, waited_s: float) -> bool:
        """Whether the workers of this model don't meet these needs, and one who has waited for so
        long has waited long enough for one that does.
        """
        return waited_s > self._grace_s and not self._able(model, needs)

    def unavailable(self, model: str) -> ModelUnavailable:
        """What to tell those who need this model."""
        state = self.models.get(model)
        for worker in state.workers if state and not self.serves(model) else ():
            return ModelUnavailable(worker_is_strange(model, worker.id, worker.protocol))
        which = f"the model '{model}'" if model else "any model"
        return ModelUnavailable(
            f"No worker serves {which} now. Start its llama-server and its bridge, "
            "or try again later."
        )


def _without_workers(state: ModelState, later_s: float) -> ModelState:
    names = {*state.past_aliases, *state.aliases}
    seen_s = state.seen_s + later_s
    return replace(state, seen_s=seen_s, workers=(), queued=0, past_aliases=tuple(names))
