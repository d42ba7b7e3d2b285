"""One chat request on its way: its jobs in the queue, their replies, and when to give up."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from starlette.types import Receive

from api.context import Context
from api.continuation import CannotContinue
from api.errors import from_llamaq
from api.failure import cannot_continue, failure, has_no_room
from api.reply_headers import place_headers, rate_headers
from api.request_log import Record
from api.splice import Splice
from dispatcher.errors import (
    DeadlineExceeded,
    JobCancelled,
    LlamaqError,
    TenantQueueFull,
    WorkerFailed,
)
from dispatcher.frames import Frame, Kind
from dispatcher.job import Job, Want
from dispatcher.reply import Place, Reply

_BY_OTHERS = frozenset({Kind.CANCELLED, Kind.ABANDONED})


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
    _splices: dict[int, Splice] = field(default_factory=dict)
    _done: set[int] = field(default_factory=set)
    _tokens: dict[int, int] = field(default_factory=dict)
    _lost_s: dict[int, float] = field(default_factory=dict)
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
                self._splices[choice] = Splice(job)
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
        if self.context.pulse.ending:
            raise JobCancelled("The API has to stop now. Please send the request again.")
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
                self._note_start(choice, json.loads(frame.payload))
            case Kind.PROMPT:
                self._splices[choice].note_prompt(frame.payload)
            case Kind.CHUNK:
                return self._show(choice, frame)
            case Kind.REVOKED:
                self.record.worker = None  # it waits for another one
                self._splices[choice] = Splice(self.jobs[choice])
                return Piece(choice, restart=True)
            case Kind.LOST:
                return self._go_on(choice, frame)
            case Kind.DONE:
                self._done.add(choice)
                completion = json.loads(frame.payload)["completion_tokens"]
                self._count(choice, self._splices[choice].seen_tokens + completion)
            case _:
                return self._fail(choice, frame)
        return None

    def _show(self, choice: int, frame: Frame) -> Piece:
        if self.record.ttft_ms is None:
            self.record.ttft_ms = int(self.waited_s * 1000)
        splice = self._splices[choice]
        self._count(choice, splice.seen_tokens + frame.tokens)
        return Piece(choice, splice.show(frame.payload, frame.tokens))

    def _note_start(self, choice: int, start: dict[str, str | int]) -> None:
        if self.record.worker is None:
            self._was_started = True
            self.record.worker = str(start["worker"])
            if not self._splices[choice].is_spliced:
                self.record.queue_ms = int(start["queue_ms"])

    def _count(self, choice: int, tokens: int) -> None:
        self._tokens[choice] = tokens
        self.record.tokens = sum(self._tokens.values())

    def _go_on(self, choice: int, frame: Frame) -> Piece | None:
        """After a loss: what is left is done elsewhere; where nothing is, the stream ends.

        Of an answer that nobody has seen all is left.
        """
        self.record.worker = None
        self._lost_s[choice] = self.waited_s
        try:
            rest = self._splices[choice].lose()
        except CannotContinue as reason:
            raise cannot_continue(frame, reason) from reason
        if rest is None:
            return self._end(choice)
        self.context.queue.resume(self.jobs[choice], rest)
        return None if Want.STREAM in self.jobs[choice].wants else Piece(choice, restart=True)

    def _end(self, choice: int) -> Piece:
        self._done.add(choice)
        return Piece(choice, self._splices[choice].end())

    def _fail(self, choice: int, frame: Frame) -> Piece:
        if has_no_room(frame) and self._splices[choice].is_spliced:
            return self._end(choice)  # the server that was lost would have had none either
        overdue = self.waited_s >= self.jobs[0].deadline_s
        if frame.kind is Kind.EXPIRED or (overdue and frame.kind in _BY_OTHERS):
            raise self._expired()
        raise failure(frame)

    def _check_time(self) -> None:
        job, waited_s, directory = self.jobs[0], self.waited_s, self.context.directory
        limit_s = job.deadline_s if self._was_started else min(job.wait_s, job.deadline_s)
        if waited_s > limit_s:
            raise self._expired()
        if not self.started and directory.given_up(job.model, waited_s):
            raise directory.unavailable(job.model)
        for choice, lost_s in self._lost_s.items():
            reply = self._replies[choice]
            if reply.waits and directory.lacks(job.model, reply.needs, waited_s - lost_s):
                raise WorkerFailed(
                    "The worker was lost in the middle of its answer, and no other has the same "
                    "model, chat template and build. Please send the request again."
                )

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
