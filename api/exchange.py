"""One chat request on its way: its jobs in the queue, their replies, and when to give up."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from starlette.types import Receive

from api.context import Context
from api.errors import ApiError, from_llama_server, from_llamaq
from api.reply_headers import place_headers, rate_headers
from api.request_log import Record
from dispatcher.errors import (
    DeadlineExceeded,
    JobCancelled,
    LlamaqError,
    Superseded,
    TenantQueueFull,
    WorkerFailed,
)
from dispatcher.frames import Frame, Kind
from dispatcher.job import Job
from dispatcher.reply import Place, Reply


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the answer: events of one choice, or, with `restart`, that it begins anew."""

    choice: int
    events: bytes = b""
    restart: bool = False


class ClientGone(Exception):
    """Nobody reads the answer any more."""


@dataclass(slots=True)
class Exchange:
    """The jobs of one request, one per choice."""

    context: Context
    record: Record
    jobs: Sequence[Job]
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _client_gone: bool = False
    _replies: dict[int, Reply] = field(default_factory=dict)
    _done: set[int] = field(default_factory=set)
    _tokens: dict[int, int] = field(default_factory=dict)
    _was_started: bool = False
    _since: float = field(default_factory=time.monotonic)

    @property
    def waited_s(self) -> float:
        """Seconds since the request came."""
        return time.monotonic() - self._since

    @property
    def started(self) -> bool:
        """Whether a worker is at work on one of the jobs."""
        return self.record.worker is not None

    @property
    def place(self) -> Place | None:
        """Where the first of the jobs that are still queued stands, as far as is known."""
        waiting = (reply.place for reply in self._replies.values() if reply.waits)
        return next((place for place in waiting if place), None)

    def headers(self) -> dict[str, str]:
        """What is known by now of how the request is served."""
        queued = max((reply.tenant_queued for reply in self._replies.values()), default=0)
        headers = {
            "x-llamaq-tier": self.jobs[0].tier.value,
            **rate_headers(self.context.max_tenant_jobs, queued),
        }
        if self.record.worker is not None:
            headers["x-llamaq-worker"] = self.record.worker
            headers["x-llamaq-queue-ms"] = str(self.record.queue_ms)
        elif place := self.place:
            headers |= place_headers(place)
        return headers

    @property
    def done(self) -> bool:
        """Whether every choice is complete."""
        return len(self._done) == len(self.jobs)

    @asynccontextmanager
    async def open(self, receive: Receive) -> AsyncIterator[None]:
        """Enqueues the jobs; at the end those that are not done are cancelled.

        `receive` (ASGI) tells when the client goes. Raises what `Queue.submit` raises, or an
        `ApiError` for it.
        """
        watch = asyncio.create_task(self._watch(receive))
        self.context.pulse.events.add(self._news)
        try:
            for choice, job in enumerate(self.jobs):
                self._replies[choice] = await self._submit(job)
            yield
        finally:
            watch.cancel()
            self.context.pulse.events.discard(self._news)
            for choice in self._replies:
                self.context.queue.close(self.jobs[choice])

    async def _submit(self, job: Job) -> Reply:
        try:
            return await self.context.queue.submit(job, self._news)
        except TenantQueueFull as error:
            refused = from_llamaq(error, self.record.id)
            limit = self.context.max_tenant_jobs
            refused.headers |= rate_headers(limit, queued=limit)
            raise refused from error

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._client_gone = True
        self._news.set()

    async def more(self) -> list[Piece]:
        """What has come since the last call; after a second in vain an empty list.

        Raises `ClientGone`, `ApiError` for the server's refusal, and `LlamaqError`s.
        """
        await self._news.wait()
        self._news.clear()
        if self._client_gone:
            raise ClientGone
        pieces = [
            piece
            for choice, reply in self._replies.items()
            for frame in reply.take()
            if (piece := self._read(choice, frame)) is not None
        ]
        if not pieces and not self.done:
            self._check_time()
        return pieces

    def _read(self, choice: int, frame: Frame) -> Piece | None:
        match frame.kind:
            case Kind.STARTED:
                self._note_start(json.loads(frame.payload))
            case Kind.CHUNK:
                if self.record.ttft_ms is None:
                    self.record.ttft_ms = int(self.waited_s * 1000)
                self._count(choice, frame.tokens)
                return Piece(choice, frame.payload)
            case Kind.REVOKED:
                self.record.worker = None  # it waits for another one
                return Piece(choice, restart=True)
            case Kind.DONE:
                self._done.add(choice)
                self._count(choice, json.loads(frame.payload)["completion_tokens"])
            case _:
                raise self._failure(frame)
        return None

    def _note_start(self, start: dict[str, str | int]) -> None:
        if self.record.worker is None:
            self._was_started = True
            self.record.worker = str(start["worker"])
            self.record.queue_ms = int(start["queue_ms"])

    def _count(self, choice: int, tokens: int) -> None:
        self._tokens[choice] = tokens
        self.record.tokens = sum(self._tokens.values())

    def _failure(self, frame: Frame) -> LlamaqError | ApiError:
        said = json.loads(frame.payload or b"{}")
        if frame.kind is Kind.REJECTED:
            return from_llama_server(said["status"], said["body"].encode())
        if frame.kind in (Kind.FAILED, Kind.LOST):
            failed = WorkerFailed(said["message"])
            failed.code = said["code"]
            return failed
        if frame.kind is Kind.SUPERSEDED:
            return Superseded(
                "A newer request with the same `x-llamaq-supersede` key took this one's place in "
                "the queue: use the answer to that one."
            )
        if frame.kind is Kind.EXPIRED or self.waited_s >= self.jobs[0].deadline_s:
            return self._expired()
        return JobCancelled("The request was cancelled on the server's side. Please send it again.")

    def _check_time(self) -> None:
        job, waited_s = self.jobs[0], self.waited_s
        limit_s = job.deadline_s if self._was_started else min(job.wait_s, job.deadline_s)
        if waited_s > limit_s:
            raise self._expired()
        if not self.started and self.context.directory.given_up(job.model, waited_s):
            raise self.context.directory.unavailable(job.model)

    def _expired(self) -> LlamaqError:
        model = self.jobs[0].model
        if self.started:
            return DeadlineExceeded(
                f"The answer was not complete after {self.waited_s:.0f} s. Ask for fewer tokens, "
                "or stream the answer."
            )
        if not self.context.directory.serves(model):
            return self.context.directory.unavailable(model)
        return DeadlineExceeded(
            f"No slot for the model '{model}' was free within {self.waited_s:.0f} s. "
            "Try again when fewer requests wait."
        )
