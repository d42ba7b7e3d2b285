"""Counts the requests that have ended, for the history of the last hour and week."""

import asyncio
import logging
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from api.request_log import Record
from dispatcher.beat import until_beat_s
from dispatcher.connection import LinkedRedis
from dispatcher.figures import Done, Figures
from dispatcher.history import EVERY_S, FAULTS, Recorder
from dispatcher.keys import Keys
from dispatcher.latencies import CLASSES, LONGEST_MS, Latencies

MOST_ENDED = 20_000
"""In one second; what is more is not counted."""

log = logging.getLogger("llamaq.api")


class Tally:
    """Counts what `ended` gets, once a second, by the `models` that there are: clients name what
    they like. An API tells of requests, workers tell of tokens.
    """

    def __init__(
        self,
        ended: deque[Record],
        redis: LinkedRedis,
        api: str,
        models: Callable[[], Collection[str]],
    ) -> None:
        self._ended = ended
        self._redis = redis
        self._api = api
        self._models = models
        self._counts: dict[str, _Counts] = {}

    def heed(self) -> None:
        """Counts those that have ended since the last call: without a call for each."""
        models = self._models() if self._ended else ()
        for _ in range(len(self._ended)):
            record = self._ended.popleft()
            if record.model is None or record.model not in models:
                continue
            counts, status = self._counts.get(record.model), record.status
            if counts is None:
                counts = self._counts[record.model] = self._begin(record.model)
            counts.requests += 1
            if status is None or status >= 500 or status == 429:
                counts.failed += 1
            if record.ttft_ms is not None:
                counts.first_token[bisect_left(LONGEST_MS, record.ttft_ms)] += 1
            if record.queue_ms is not None:
                counts.queued[bisect_left(LONGEST_MS, record.queue_ms)] += 1

    async def run(self) -> None:
        """Writes what was counted, once a minute, for ever."""
        while True:
            await asyncio.sleep(until_beat_s(EVERY_S))
            await self.write()

    async def write(self) -> None:
        """Writes it. What can't be written is written later."""
        self.heed()
        for counts in self._counts.values():
            try:
                await counts.recorder.add(counts.take())
            except FAULTS as error:
                log.warning("The history of a minute is written later: %s", error)

    def _begin(self, model: str) -> "_Counts":
        return _Counts(Recorder(self._redis.link, Keys(model), "api", self._api))


@dataclass(slots=True)
class _Counts:
    """Of one model, since `take` was called."""

    recorder: Recorder
    requests: int = 0
    failed: int = 0
    first_token: list[int] = field(default_factory=lambda: [0] * CLASSES)
    queued: list[int] = field(default_factory=lambda: [0] * CLASSES)

    def take(self) -> Figures:
        """What was counted, which is counted anew from now on."""
        first_token, queued = Latencies(tuple(self.first_token)), Latencies(tuple(self.queued))
        figures = Figures(Done(self.requests, self.failed), first_token, queued)
        self.requests = self.failed = 0
        self.first_token, self.queued = [0] * CLASSES, [0] * CLASSES
        return figures


def newly_ended() -> deque[Record]:
    """Where requests go that have ended, until they are counted."""
    return deque(maxlen=MOST_ENDED)
