"""The requests of the last minute by model, and what writes them into the history."""

import asyncio
import logging
from dataclasses import dataclass, field

from dispatcher.beat import until_beat_s
from dispatcher.connection import LinkedRedis
from dispatcher.figures import Done, Figures
from dispatcher.history import EVERY_S, FAULTS, Recorder
from dispatcher.keys import Keys
from dispatcher.latencies import CLASSES, Latencies

log = logging.getLogger("llamaq.api")


@dataclass(slots=True)
class ModelCounts:
    """The requests for one model since the last `take`. `first_token` and `queued` count them by
    the classes of `dispatcher/latencies.py`.
    """

    requests: int = 0
    failed: int = 0
    first_token: list[int] = field(default_factory=lambda: [0] * CLASSES)
    queued: list[int] = field(default_factory=lambda: [0] * CLASSES)

    def take(self) -> Figures:
        """Returns the counts, and begins again at 0."""
        first_token, queued = Latencies(tuple(self.first_token)), Latencies(tuple(self.queued))
        figures = Figures(Done(self.requests, self.failed), first_token, queued)
        self.requests = self.failed = 0
        self.first_token, self.queued = [0] * CLASSES, [0] * CLASSES
        return figures


class RequestHistory:
    """Writes the counts of each model. `RequestMetrics` counts: APIs count requests, workers count
    tokens.
    """

    def __init__(self) -> None:
        self.counts: dict[str, ModelCounts] = {}
        self._recorders: dict[str, Recorder] = {}

    def counts_of(self, model: str) -> ModelCounts:
        """The counts of this model, which are written from now on."""
        return self.counts.setdefault(model, ModelCounts())

    async def run(self, redis: LinkedRedis, api: str) -> None:
        """Writes the counts of this API once a minute, for ever."""
        while True:
            await asyncio.sleep(until_beat_s(EVERY_S))
            await self.write(redis, api)

    async def write(self, redis: LinkedRedis, api: str) -> None:
        """Writes the counts. A `Recorder` keeps what can't be written for the next time."""
        for model, counts in tuple(self.counts.items()):
            recorder = self._recorders.get(model)
            if recorder is None:
                recorder = Recorder(redis.link, Keys(model), "api", api)
                self._recorders[model] = recorder
            try:
                await recorder.add(counts.take())
            except FAULTS as error:
                log.warning("The history of a minute is written later: %s", error)
