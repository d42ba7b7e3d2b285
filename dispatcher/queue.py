"""The API's side of the queue: submit a job, read its reply, cancel it."""

import asyncio
import secrets
import sys
from collections.abc import Callable, Set
from types import TracebackType
from typing import Self

from dispatcher.connection import LEASE_SILENCE_S, open_redis
from dispatcher.continuation import Continuation
from dispatcher.cost import Shown
from dispatcher.job import Job
from dispatcher.lane import Lane
from dispatcher.redis_check import WriteProbe
from dispatcher.reply import Reply
from dispatcher.settings import QueueSettings
from dispatcher.tasks import cancel


class Queue:
    """The queues of all models, as one API replica uses them. An async context manager.

    `max_reply_bytes` bounds what is kept of a stream that its client does not read. `writes` tells
    whether Redis takes jobs.
    """

    def __init__(self, settings: QueueSettings, max_reply_bytes: int) -> None:
        self.api = f"api-{secrets.token_hex(4)}"
        url = settings.redis_url.get_secret_value()
        self.redis, self.lifeline = open_redis(url), open_redis(url, silence_s=LEASE_SILENCE_S)
        self.writes = WriteProbe(self.lifeline)
        self._settings = settings
        self._max_reply_bytes = max_reply_bytes
        self._lanes: dict[str, Lane] = {}
        self._apart: Set[str] = frozenset()
        self._opening: dict[str, asyncio.Task[Lane]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await cancel(self._opening.values())
        for lane in self._lanes.values():
            await lane.close()
        for client in (self.redis, self.lifeline):
            await client.aclose()

    async def submit(self, job: Job, news: Callable[[], None]) -> Reply:
        """Puts a job into its model's queue. Its reply calls `news`, and must be closed.

        Raises `QueueFull` and `RedisUnavailable`; nothing runs then.
        """
        lane = await self._lane(job.model)
        # An answer in one piece is taken as it comes: no client can read it too slowly.
        most = self._max_reply_bytes if job.is_streamed else sys.maxsize
        reply = Reply(most, news, streamed=job.is_streamed)
        return await lane.submit(job, reply)

    def resume(self, job: Job, rest: Continuation) -> None:
        """Resumes, in the background, a job whose reply has said `LOST`.

        Its reply then follows another attempt, or fails.
        """
        self._lanes[job.model].resume(job.id, rest)

    def close(self, job: Job, shown: Callable[[], Shown | None] = lambda: None) -> None:
        """The reply is no longer read. A job that has not ended is cancelled, in the background.

        Then `shown` is asked what its client was shown of its answer: usage counts that.
        """
        self._lanes[job.model].close_reply(job.id, shown)

    async def open(self, model: str) -> None:
        """Makes this API known to the bridges of a model. Raises `RedisUnavailable`."""
        await self._lane(model)

    def keep_apart(self, models: Set[str]) -> None:
        """Which models have keys that invited machines can write. They hold up no other."""
        self._apart = models
        for model, lane in self._lanes.items():
            lane.keep_apart(is_apart=model in models)

    async def _lane(self, model: str) -> Lane:
        """Callers at the same time wait for one attempt to open it."""
        if lane := self._lanes.get(model):
            return lane
        if model not in self._opening:
            self._opening[model] = opening = asyncio.create_task(self._open_lane(model))
            opening.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(self._opening[model])

    async def _open_lane(self, model: str) -> Lane:
        lane = Lane(model, self.api, self.redis, self.lifeline, self._settings)
        lane.keep_apart(is_apart=model in self._apart)
        try:
            await lane.open()
            self._lanes[model] = lane
        finally:
            del self._opening[model]
        return lane
