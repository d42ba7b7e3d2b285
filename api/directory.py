"""Which models there are and who serves them: a copy of the registry, 1 s old at most."""

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import replace

from redis.asyncio import Redis

from api.errors import bad_request
from dispatcher.errors import ModelNotFound, ModelUnavailable, RedisUnavailable
from dispatcher.needs import Needs
from dispatcher.registry import ModelState, read_models

log = logging.getLogger("llamaq.directory")

_REFRESH_S = 1.0
_REMEMBERED_S = 60.0  # a model seen within this time is waited for
_FORGOTTEN_S = 86400.0
_MEDIA = {"vision": "images", "audio": "audio", "video": "video"}


class Directory:
    """Every model that workers serve or have served."""

    def __init__(self, redis: Redis, grace_s: float) -> None:
        self.models: Mapping[str, ModelState] = {}
        self._redis = redis
        self._grace_s = grace_s
        self._read_at = self._back_at = float("-inf")
        self._reading = asyncio.Lock()

    async def run(self) -> None:
        """Keeps the copy fresh, for ever."""
        while True:
            try:
                await self.refresh()
            except RedisUnavailable as error:
                log.warning("%s", error.message)
            await asyncio.sleep(_REFRESH_S)

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
        self.models = kept | {state.model: state for state in states}

    def _forgotten(self, later_s: float) -> dict[str, ModelState]:
        """The models, as if their workers had left: a Redis that lost its data knows none of them
        until the workers have joined again.
        """
        return {
            model: replace(state, seen_s=state.seen_s + later_s, workers=(), queued=0)
            for model, state in self.models.items()
            if state.seen_s + later_s < _FORGOTTEN_S
        }

    async def require(self, model: str) -> None:
        """Raises `ModelNotFound`, or `ModelUnavailable` for one that nobody has served lately, or
        where no model is known at all.
        """
        if not self.serves(model):
            await self.refresh()
        state = self.models.get(model)
        if not self.models:  # Redis is new, or has lost its data: who knows what it knew
            raise self.unavailable(model)
        if state is None:
            served = ", ".join(sorted(m for m in self.models if self.serves(m))) or "none"
            raise ModelNotFound(
                f"No worker has ever served the model '{model}'. Served now: {served}."
            )
        if not state.workers and state.seen_s > _REMEMBERED_S:
            raise self.unavailable(model)

    async def require_able(self, model: str, needs: Needs) -> None:
        """Raises `ApiError` 400 if workers serve the model, but none that meets these needs."""
        if self._able(model, needs):
            return
        await self.refresh()  # one may have come within the last second
        if not self._able(model, needs):
            media = " and ".join(_MEDIA.get(word, word) for word in sorted(needs.modalities))
            raise bad_request(
                f"No worker of the model '{model}' takes {media}: leave them out, or choose "
                "another model: see /v1/models.",
                param="messages",
            )

    def _able(self, model: str, needs: Needs) -> bool:
        state = self.models.get(model)
        workers = state.workers if state else ()
        able = (needs.met_by(w.context, w.modalities, w.fingerprint) for w in workers)
        return not workers or any(able)

    def serves(self, model: str) -> bool:
        """Whether a worker of this model lives, be it busy or loading."""
        state = self.models.get(model)
        return state is not None and bool(state.workers)

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
        return max((worker.context for worker in state.workers), default=0) if state else 0

    def given_up(self, model: str, waited_s: float) -> bool:
        """Whether one who has waited for so long has waited long enough for a worker to come."""
        state = self.models.get(model)
        away_s = state.seen_s if state else waited_s
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
        return ModelUnavailable(
            f"No worker serves the model '{model}' now. Start its llama-server and its bridge, "
            "or try again later."
        )
