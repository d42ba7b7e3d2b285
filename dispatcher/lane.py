"""One model's part of an API's queue: its jobs, and the tasks that keep them going."""

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress
from functools import partial
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from dispatcher.connection import open_redis
from dispatcher.continuation import Continuation, resume, what_is_left
from dispatcher.errors import QueueFull, RedisUnavailable, TenantQueueFull, WorkerFailed
from dispatcher.inbox import Inbox
from dispatcher.job import NOBODY, Job, encode_wants, tenant_key
from dispatcher.keys import Keys
from dispatcher.needs import Needs
from dispatcher.reaper import run_reaper
from dispatcher.reply import Place, Reply, eta_s
from dispatcher.scripts import Scripts
from dispatcher.settings import QueueSettings
from dispatcher.tasks import cancel, go_on, log_failure

log = logging.getLogger("llamaq.queue")

_CANCEL_TRIES = 25
_RETRY_S = 0.2
_FULL_RETRY_S = 5
_PLACES_EVERY_S = 1.0
_PLACES = 200  # replies that are told where their jobs stand, in one round


class Lane:
    """One model's queue and reply stream, with the tasks that keep them going."""

    def __init__(self, model: str, api: str, redis: Redis, settings: QueueSettings) -> None:
        self._api = api
        self._settings = settings
        self._scripts = Scripts(redis, Keys(model))
        self._reader = open_redis(settings.redis_url.get_secret_value(), blocking=True)
        self._inbox = Inbox(api, self._scripts, self._reader, settings.lease_s, self._resubmit)
        self._jobs: dict[str, Job] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Makes the reply stream and starts to read it. Raises `RedisUnavailable`."""
        await self._inbox.heartbeat()
        self._start(go_on("reader of replies", self._inbox.run_reader))
        self._start(go_on("heartbeat", self._inbox.run_heartbeat))
        self._start(go_on("look at places", self._run_places))
        reaping = partial(run_reaper, self._scripts, self._settings.lease_s)
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
            await self._enqueue(job, reply)
        except BaseException:
            self.close_reply(job.id)  # it may be queued all the same: only the answer was lost
            raise
        if job.id in self._jobs:
            self._inbox.known.add(job.id)
        return reply

    def resume(self, job: str, rest: Continuation) -> None:
        """See `dispatcher.queue.Queue.resume`."""
        if reply := self._inbox.replies.get(job):
            self._start(self._resume(self._jobs[job], reply, rest))

    def close_reply(self, job: str) -> None:
        """See `dispatcher.queue.Queue.close`."""
        self._inbox.known.discard(job)
        self._jobs.pop(job, None)
        reply = self._inbox.replies.pop(job, None)
        if reply is not None and (reply.failed_here or not reply.ended):
            self._start(self._cancel(job))

    async def _enqueue(self, job: Job, reply: Reply) -> None:
        try:
            verdict = await self._enqueue_once(job)
        except RedisUnavailable:
            verdict = await self._enqueue_once(job)  # a repeated enqueue does no harm
        if verdict[0] == b"UNKNOWN_API":
            await self._inbox.heartbeat()
            verdict = await self._enqueue_once(job)
        if verdict[0] in (b"FULL", b"TENANT_FULL"):
            raise await self._full(job, verdict)
        if verdict[0] == b"OK":
            reply.tenant_queued = int(verdict[2])

    async def _enqueue_once(self, job: Job) -> list[Any]:
        bounds = self._settings
        user = tenant_key(job.user) or NOBODY
        return await self._scripts.run(
            "enqueue",
            *(job.id, self._api, tenant_key(job.tenant), user, job.tier, job.weight),
            *(str(job.needs), encode_wants(job.wants)),
            *(job.estimate, job.prompt_tokens, job.completion_tokens),
            *(int(job.wait_s * 1000), int(job.deadline_s * 1000)),
            *(bounds.max_attempts, bounds.max_crashes),
            *(bounds.max_queue_jobs, bounds.max_queue_bytes),
            *(bounds.max_tenant_jobs, bounds.max_tenant_running),
            *(tenant_key(job.supersedes), " ".join(job.remembered)),
            *("" if job.seen_cost is None else job.seen_cost, job.body),
            *job.prefixes,
        )

    async def _full(self, job: Job, verdict: list[Any]) -> QueueFull:
        slots, mean_ms, *_ = await self._scripts.run("position")
        wait_s = eta_s(verdict[1], slots, float(mean_ms)) or _FULL_RETRY_S
        if verdict[0] == b"FULL":
            return QueueFull(
                f"{verdict[1]} requests wait for the model '{job.model}' already; try again later.",
                wait_s,
            )
        return TenantQueueFull(
            f"{verdict[1]} of your requests wait for the model '{job.model}' already; send more "
            "when some are answered.",
            wait_s,
        )

    async def _run_places(self) -> None:
        while True:
            await asyncio.sleep(_PLACES_EVERY_S)
            waiting = [(job, reply) for job, reply in self._inbox.replies.items() if reply.waits]
            with suppress(RedisUnavailable):
                await self._tell_places(waiting[:_PLACES])

    async def _tell_places(self, waiting: list[tuple[str, Reply]]) -> None:
        if not waiting:
            return
        ids = (job for job, _ in waiting)
        slots, mean_ms, *positions = await self._scripts.run("position", *ids)
        for (_, reply), position in zip(waiting, positions, strict=True):
            eta = eta_s(position, slots, float(mean_ms))
            reply.place = Place(position, eta) if position else None

    def _resubmit(self, job: str) -> None:
        if job in self._jobs:
            log.warning("job=%s was forgotten by Redis; it is queued again", job)
            self._start(self._submit_again(self._jobs[job]))

    async def _submit_again(self, job: Job) -> None:
        reply = self._inbox.replies.get(job.id)
        if reply is None or reply.ended:
            return  # meanwhile
        reply.forget()  # first: a worker may answer before Redis has answered us
        if reply.lost:
            return  # it goes on, with what is left
        try:
            await self._enqueue(job, reply)
        except RedisUnavailable:
            pass  # the next heartbeat tells whether Redis has it
        except QueueFull as error:
            reply.fail(error.code, error.message)
        except ResponseError:
            reply.fail(WorkerFailed.code, "Redis can't queue the request. Please try again.")
            raise

    async def _resume(self, job: Job, reply: Reply, rest: Continuation) -> None:
        attempt = reply.lost
        while not reply.ended and self._inbox.replies.get(job.id) is reply:
            try:
                left = what_is_left(job, rest, reply.build)
                needs = await self._queue_again(left, attempt, reply)
            except RedisUnavailable:
                await asyncio.sleep(_RETRY_S)  # an answer that has begun waits it out
            except (WorkerFailed, QueueFull) as error:
                reply.fail(error.code, error.message)
            except ResponseError:
                reply.fail(
                    WorkerFailed.code, "Redis can't have the answer go on. Please try again."
                )
                raise
            else:
                if reply.resumed(attempt, needs) and job.id in self._jobs:
                    self._jobs[job.id] = left
                return

    async def _queue_again(self, left: Job, attempt: str, reply: Reply) -> Needs:
        needs = await resume(self._scripts, left, attempt)
        if needs is None:
            await self._enqueue(left, reply)
        return needs or left.needs

    async def _cancel(self, job: str) -> None:
        for _ in range(_CANCEL_TRIES):
            with suppress(RedisUnavailable):
                # Unknown: an enqueue whose answer nobody waited for may still be on its way.
                if await self._scripts.run("cancel", job) != [b"unknown"]:
                    return
            await asyncio.sleep(_RETRY_S)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(log_failure)
