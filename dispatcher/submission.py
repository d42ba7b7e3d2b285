"""Brings the jobs of an API into the queue of one model, and back into it."""

import asyncio
import time
from typing import Any

from redis.exceptions import ResponseError

from dispatcher.arguments import QueuedJob
from dispatcher.batches import Batches
from dispatcher.commands import Bounds, Commands
from dispatcher.continuation import resume
from dispatcher.errors import QueueFull, RedisUnavailable, TenantQueueFull
from dispatcher.inbox import Inbox
from dispatcher.job import NOBODY, Job, encode_wants, tenant_key
from dispatcher.needs import Needs
from dispatcher.reply import Reply, eta_s
from dispatcher.settings import QueueSettings

_IN_ALL_S = 8.0  # then a new request is refused
_EFFECT_S = 10.0  # of what is submitted again: a late one does no harm
_TRIES = 5
_RETRY_S = 0.2
_FULL_RETRY_S = 5
_AT_ONCE = 16


class Submissions:
    """The submissions of one API's jobs.

    Each submission of a job has a generation, and Redis keeps the newest: a late or a repeated one
    does no harm. Jobs that come back into the queue wait for each other. So thousands that were
    lost at once leave room for new ones.
    """

    def __init__(self, api: str, commands: Commands, settings: QueueSettings, inbox: Inbox) -> None:
        self._api = api
        self._commands = commands
        self._bounds = Bounds(
            *(settings.max_attempts, settings.max_crashes),
            *(settings.max_queue_jobs, settings.max_queue_bytes),
            *(settings.max_tenant_jobs, settings.max_tenant_running),
        )
        self._enqueues = Batches(self._enqueue_all, size=lambda job: len(job.body))
        self._inbox = inbox
        self._room = asyncio.Semaphore(_AT_ONCE)

    async def submit(self, job: Job, reply: Reply) -> None:
        """The first one. Raises `QueueFull`, which says that nothing is queued, and
        `RedisUnavailable`, after which it may be.

        It is given up after 8 s, and takes no effect later.
        """
        ends_at = time.monotonic() + _IN_ALL_S
        try:
            async with asyncio.timeout(_IN_ALL_S):
                verdict = await self._enqueue_soon(job, reply.generation, ends_at)
                if verdict[0] in (b"FULL", b"TENANT_FULL"):
                    raise await self._full(job, verdict)
        except TimeoutError as error:
            raise RedisUnavailable("Redis can't be reached: no answer") from error
        if verdict[0] == b"OK":
            reply.tenant_queued = int(verdict[2])

    async def submit_again(self, job: Job, reply: Reply, generation: int) -> bool:
        """Queues a whole job that Redis has lost. False where nobody wants that any more."""
        async with self._room:
            while self._is_wanted(job, reply, generation):
                try:
                    await self._enqueue(job, generation, time.monotonic() + _EFFECT_S)
                except RedisUnavailable:
                    await asyncio.sleep(_RETRY_S)
                else:
                    return True
        return False

    async def submit_rest(self, left: Job, reply: Reply, generation: int) -> Needs | None:
        """Queues what is left of a job; returns what that needs of its worker.

        None where nobody wants it any more. Raises `WorkerFailed` where it may not go on.
        """
        async with self._room:
            while self._is_wanted(left, reply, generation):
                try:
                    needs = await resume(self._commands, left, generation)
                    if needs is None:
                        await self._enqueue(left, generation, time.monotonic() + _EFFECT_S)
                except RedisUnavailable:
                    await asyncio.sleep(_RETRY_S)  # an answer that has begun waits it out
                else:
                    return needs or left.needs
        return None

    def _is_wanted(self, job: Job, reply: Reply, generation: int) -> bool:
        is_open = self._inbox.replies.get(job.id) is reply
        return is_open and not reply.ended and reply.generation == generation

    async def _enqueue_soon(self, job: Job, generation: int, ends_at: float) -> list[Any]:
        """Tries twice: the link may have been lost before this job."""
        try:
            return await self._enqueue(job, generation, ends_at)
        except RedisUnavailable:
            return await self._enqueue(job, generation, ends_at)

    async def _enqueue(self, job: Job, generation: int, ends_at: float) -> list[Any]:
        """What Redis says of it. It takes no effect after `ends_at`, in `time.monotonic()`."""
        for _ in range(_TRIES):
            latest_ms = self._inbox.clock.in_ms(ends_at - time.monotonic())
            verdict = await self._enqueues.put(_queued_job(job, generation, latest_ms))
            if verdict[0] == b"UNKNOWN_API":
                await self._inbox.tell_again()
            elif verdict[0] == b"LATE":
                self._inbox.clock.learn(int(verdict[1]))
            elif verdict[0] == b"FAILED":
                raise ResponseError(verdict[1].decode(errors="replace"))
            else:
                return verdict
        raise RedisUnavailable("Redis is too slow to take the request.")

    async def _enqueue_all(self, jobs: list[QueuedJob]) -> list[list[Any]]:
        return await self._commands.enqueue(self._api, self._bounds, jobs)

    async def _full(self, job: Job, verdict: list[Any]) -> QueueFull:
        slots, mean_ms, *_ = await self._commands.position(())
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


def _queued_job(job: Job, generation: int, latest_ms: int) -> QueuedJob:
    return QueuedJob(
        id=job.id,
        generation=generation,
        latest_ms=latest_ms,
        tenant=tenant_key(job.tenant),
        user=tenant_key(job.user) or NOBODY,
        tier=job.tier,
        weight=job.weight,
        needs=str(job.needs),
        wants=encode_wants(job.wants),
        estimate=job.estimate,
        prompt_tokens=job.prompt_tokens,
        completion_tokens=job.completion_tokens,
        wait_ms=int(job.wait_s * 1000),
        deadline_ms=int(job.deadline_s * 1000),
        supersedes=tenant_key(job.supersedes),
        remembered=" ".join(job.remembered),
        seen_cost="" if job.seen_cost is None else job.seen_cost,
        seen=job.shown.text if job.shown else "",
        path=job.path,
        form=job.form,
        is_admitted=int(job.is_admitted),
        part=job.part,
        body=job.body,
        beginnings=" ".join(job.prefixes),
        quota=job.quota if generation == 1 else "",
        trace=job.trace,
    )
