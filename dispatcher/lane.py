"""One model's part of an API's queue: its jobs, and the tasks that keep them going."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any

from redis.exceptions import ResponseError

from dispatcher.beat import until_beat_s
from dispatcher.cancels import Cancels
from dispatcher.commands import Commands
from dispatcher.connection import (
    BLOCKED_SILENCE_S,
    MOST_READ_APART_BYTES,
    LinkedRedis,
    open_redis,
)
from dispatcher.continuation import Continuation, what_is_left
from dispatcher.cost import Shown
from dispatcher.errors import QueueFull, RedisUnavailable, WorkerFailed
from dispatcher.inbox import Inbox
from dispatcher.job import Job
from dispatcher.keys import Keys
from dispatcher.reaper import run_reaper
from dispatcher.reply import Place, Reply, eta_s
from dispatcher.settings import QueueSettings
from dispatcher.submission import Submissions
from dispatcher.tasks import cancel, go_on, log_failure

log = logging.getLogger("llamaq.queue")

_PLACES_EVERY_S = 1.0
_PLACES = 200  # replies that learn where their jobs stand, in one round


class Lane:
    """One model's queue and reply stream, with the tasks that keep them going.

    `redis` is for what requests need. `lifeline` shows that the API lives: the heartbeat and the
    reaper never wait for requests.
    """

    def __init__(
        self,
        model: str,
        api: str,
        redis: LinkedRedis,
        lifeline: LinkedRedis,
        settings: QueueSettings,
    ) -> None:
        keys = Keys(model)
        self._lease_s = settings.lease_s
        self._commands, self._lifeline = Commands(redis, keys), Commands(lifeline, keys)
        url = settings.redis_url.get_secret_value()
        self._reader = open_redis(
            url, silence_s=BLOCKED_SILENCE_S, most_apart_bytes=MOST_READ_APART_BYTES
        )
        self._inbox = Inbox(api, self._lifeline, self._reader, settings.lease_s, self._submit_again)
        self._submissions = Submissions(api, self._commands, settings, self._inbox)
        self._cancels = Cancels(self._commands)
        self._jobs: dict[str, Job] = {}
        self._is_apart = False
        self._tasks: set[asyncio.Task[None]] = set()

    def keep_apart(self, *, is_apart: bool) -> None:
        """Whether invited machines can write to this model's keys: then it has links of its own."""
        self._is_apart = is_apart
        for commands in (self._commands, self._lifeline):
            commands.keep_apart(is_apart=is_apart)
        self._inbox.keep_apart(is_apart=is_apart)

    async def open(self) -> None:
        """Makes the reply stream and starts to read it. Raises `RedisUnavailable`."""
        await self._inbox.heartbeat()
        self._start(go_on("reader of replies", self._inbox.run_reader))
        self._start(go_on("heartbeat", self._inbox.run_heartbeat))
        self._start(go_on("look at places", self._run_places))
        self._start(go_on("cancels", self._cancels.run))
        reaping = partial(run_reaper, self._lifeline, self._lease_s)
        self._start(go_on("reaper", reaping))

    async def close(self) -> None:
        """Stops reading."""
        await cancel(self._tasks)
        await self._reader.aclose()

    async def submit(self, job: Job, reply: Reply) -> Reply:
        """See `dispatcher.queue.Queue.submit`."""
        self._inbox.replies[job.id] = reply
        self._jobs[job.id] = job
        try:
            await self._submissions.submit(job, reply)
        except QueueFull:
            self._forget(job.id)
            raise
        except ResponseError as error:
            self.close_reply(job.id)
            raise self._damaged(job.model, error) from error
        except BaseException:
            self.close_reply(job.id)  # it may be queued all the same: only the answer was lost
            raise
        self._ask_about(job, reply)
        return reply

    def _damaged(self, model: str, error: ResponseError) -> RedisUnavailable:
        log.error("The queue of the model %r is damaged: %s", model, error)
        damaged = f"The queue of the model '{model}' is damaged. The log of the API says more."
        if self._is_apart:
            damaged += " Invited machines can write to it: `llamaq invite --list` shows them."
        return RedisUnavailable(damaged)

    def resume(self, job: str, rest: Continuation) -> None:
        """See `dispatcher.queue.Queue.resume`."""
        if reply := self._inbox.replies.get(job):
            self._inbox.known.discard(job)
            self._start(self._go_on(self._jobs[job], reply, rest))

    def close_reply(self, job: str, shown: Callable[[], Shown | None] = lambda: None) -> None:
        """See `dispatcher.queue.Queue.close`."""
        reply = self._forget(job)
        if reply is not None and (reply.failed_here or not reply.ended):
            self._cancels.add(job, shown())

    def _forget(self, job: str) -> Reply | None:
        self._inbox.known.discard(job)
        self._jobs.pop(job, None)
        return self._inbox.replies.pop(job, None)

    async def _run_places(self) -> None:
        while True:
            await asyncio.sleep(until_beat_s(_PLACES_EVERY_S))
            waiting = [(job, reply) for job, reply in self._inbox.replies.items() if reply.waits]
            with suppress(RedisUnavailable):
                await self._tell_places(waiting[:_PLACES])

    async def _tell_places(self, waiting: list[tuple[str, Reply]]) -> None:
        if not waiting:
            return
        ids = (job for job, _ in waiting)
        slots, mean_ms, *positions = await self._commands.position(ids)
        for (_, reply), position in zip(waiting, positions, strict=True):
            eta = eta_s(position, slots, float(mean_ms))
            reply.place = Place(position, eta) if position else None

    def _submit_again(self, job: str, generation: int) -> None:
        reply = self._inbox.replies.get(job)
        if reply is None or reply.ended or reply.lost or reply.generation != generation:
            return  # meanwhile
        log.warning("job=%s was forgotten by Redis; it is queued again", job)
        self._inbox.known.discard(job)
        reply.forget()  # first: a worker may answer before Redis has answered us
        if not reply.lost:  # else its exchange resumes it
            self._start(self._bring_back(self._jobs[job], reply))

    async def _bring_back(self, job: Job, reply: Reply) -> None:
        try:
            wanted = await self._submissions.submit_again(job, reply, reply.generation)
        except ResponseError:
            reply.fail(WorkerFailed.code, "Redis can't queue the request. Please try again.")
            raise
        if wanted:
            self._ask_about(job, reply)

    async def _go_on(self, job: Job, reply: Reply, rest: Continuation) -> None:
        generation = reply.generation
        try:
            left = what_is_left(job, rest, reply.fingerprint)
            needs = await self._submissions.submit_rest(left, reply, generation)
        except WorkerFailed as error:
            reply.fail(error.code, error.message)
            return
        except ResponseError:
            reply.fail(WorkerFailed.code, "Redis can't have the answer go on. Please try again.")
            raise
        if needs is not None and reply.resumed(generation, needs):
            self._ask_about(left, reply)

    def _ask_about(self, job: Job, reply: Reply) -> None:
        """Redis has this job: the heartbeat may ask whether it still has."""
        if self._inbox.replies.get(job.id) is reply:
            self._jobs[job.id] = job
            self._inbox.known.add(job.id)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(log_failure)
