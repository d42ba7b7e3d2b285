"""One request on its way: its jobs in the queue, their replies, and when to give up."""

import asyncio
import time
from collections.abc import Callable, Sequence

from starlette.types import Receive

from api.answer import Answer, note_tokens
from api.context import Context
from api.departure import ClientGone, Departure
from api.endpoint import CannotContinue, Piece, Splice
from api.errors import ApiError
from api.failure import cannot_continue, failure, fault_of, has_no_room, stopped, tenant_queue_full
from api.json_text import read
from api.reply_headers import rate_headers, way_headers
from api.request_log import Record
from api.stay import Stay
from api.waiting import check_continuation, check_model, expired
from dispatcher.errors import LlamaqError, TenantQueueFull
from dispatcher.frames import Frame, Kind
from dispatcher.job import Job
from dispatcher.reply import Place, Reply

_BY_OTHERS = frozenset({Kind.CANCELLED, Kind.ABANDONED})


class Exchange:
    """The jobs of one request, one per choice, and what comes back for them.

    `splice` makes what joins the attempts at a job. `stay` is that of a limited tenant. `begin`
    comes first; `close` always comes last. It is `done` when every choice is complete.
    """

    def __init__(
        self,
        context: Context,
        record: Record,
        jobs: Sequence[Job],
        splice: Callable[[Job], Splice],
    ) -> None:
        self.context = context
        self.record = record
        self.jobs = jobs
        self.stay: Stay | None = None
        self.done = False
        self._new_splice, self._open = splice, len(jobs)
        self._answers: list[Answer] = []
        self._loop = asyncio.get_running_loop()
        self._departure: Departure | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._has_news = self._client_gone = self._was_started = False
        self._failure: ApiError | LlamaqError | None = None
        self._since = time.monotonic()

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
        for answer in self._answers:  # each whole answer asks
            if answer.reply.waits and (place := answer.reply.place):
                return place
        return None

    def headers(self) -> dict[str, str]:
        """What is known by now of how the request is served."""
        queued = max([answer.reply.tenant_queued for answer in self._answers], default=0)
        rates = rate_headers(self.context.max_tenant_jobs, queued)
        rates |= self.stay.headers() if self.stay is not None else {}
        return way_headers(self.record, self.place) | rates

    async def begin(self, receive: Receive) -> None:
        """Enqueues the jobs. `receive` (ASGI) tells when the client goes.

        Raises what `Queue.submit` raises, or an `ApiError` for it.
        """
        self._departure = Departure(receive, self._leave)
        self.context.pulse.listeners.add(self.wake)
        if self.stay is not None:
            self.jobs = [await self.stay.begin(self.jobs[0], self._refuse), *self.jobs[1:]]
        for choice, job in enumerate(self.jobs):
            reply = await self._submit(job)
            self._answers.append(Answer(choice, job, reply, self._new_splice(job)))

    def close(self) -> None:
        """Nobody waits for the answer any more: jobs that are not done are cancelled."""
        if self._departure is not None:
            self._departure.close()
            self._departure = None
        self.context.pulse.listeners.discard(self.wake)
        for answer in self._answers:
            self.context.queue.close(answer.job, answer.shown)
        note_tokens(self.record, self._answers)
        if self.stay is not None:
            self.stay.end(counts=self._was_started or self._client_gone)
        # Answers refer to this exchange: else their bodies would stay until a garbage collection.
        self._answers.clear()
        self._failure = None

    async def _submit(self, job: Job) -> Reply:
        try:
            return await self.context.queue.submit(job, self.wake)
        except TenantQueueFull as error:
            raise tenant_queue_full(error, self.context.max_tenant_jobs) from error

    def _refuse(self, error: ApiError) -> None:
        """Refuses the request, if all of it still waits in the queue, as far as is known."""
        if all([answer.reply.waits and answer.reply.place for answer in self._answers]):
            self._failure = error
            self.wake()

    def _leave(self) -> None:
        self._client_gone = True
        self.wake()

    def wake(self) -> None:
        """There is something new: `more` returns."""
        self._has_news = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def more(self) -> list[Piece]:
        """What has come since the last call; an empty list if nothing came for a second.

        Raises `ClientGone`, `ApiError` for the server's refusal, and `LlamaqError`s.
        """
        if not self._has_news:
            self._waiter = self._loop.create_future()
            await self._waiter
        self._has_news = False
        self.check_ends()
        pieces: list[Piece] = []
        try:
            self._take(pieces)
        except Exception as error:
            if not pieces:
                raise fault_of(error) from None
            self._failure = fault_of(error)  # what came before it goes out first
            self.wake()
        if not pieces:
            self._check_time()
        elif self.record.ttft_ms is None and any([piece.events for piece in pieces]):
            self.record.ttft_ms = int((time.monotonic() - self.record.began_at) * 1000)
        return pieces

    def _take(self, pieces: list[Piece]) -> None:
        """Adds what has come to `pieces`. Raises the error by which the exchange fails."""
        for answer in self._answers:
            for frame in answer.reply.take():
                if frame.kind is Kind.CHUNK:
                    pieces.append(Piece(answer.choice, answer.show(frame)))
                elif (piece := self._read(answer, frame)) is not None:
                    pieces.append(piece)

    def check_ends(self) -> None:
        """Raises why it may not go on, as `more` does."""
        if self._client_gone:
            raise ClientGone
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        if self.context.pulse.ending:
            raise stopped()

    def _read(self, answer: Answer, frame: Frame) -> Piece | None:
        match frame.kind:
            case Kind.STARTED:
                self._note_start(answer)
            case Kind.PROMPT:
                answer.splice.note_prompt(frame.payload)
            case Kind.REVOKED:
                self.record.try_again()
                answer.splice = self._new_splice(answer.job)
                return Piece(answer.choice, restart=True)
            case Kind.LOST:
                return self._go_on(answer, frame)
            case Kind.DONE:
                self._close_one()
                answer.end(read(frame.payload))
            case _:
                return self._fail(answer, frame)
        return None

    def _note_start(self, answer: Answer) -> None:
        if self.record.worker is None:
            self._was_started, start = True, answer.reply.start
            self.record.start(str(start["worker"]))
            if not answer.splice.is_spliced:
                self.record.queue_ms = int(start["queue_ms"])

    def _go_on(self, answer: Answer, frame: Frame) -> Piece | None:
        """After a loss: the rest is done elsewhere. Where nothing is left, the stream ends.

        An answer that nobody has seen starts over.
        """
        self.record.wait_again()
        try:
            rest = answer.lose(self.waited_s)
        except CannotContinue as reason:
            raise cannot_continue(frame, reason) from reason
        if rest is None:
            return self._end(answer)
        self.record.go_on(is_stream=answer.job.is_streamed)
        self.context.queue.resume(answer.job, rest)
        return None if answer.job.is_streamed else Piece(answer.choice, restart=True)

    def _close_one(self) -> None:
        self._open -= 1
        self.done = not self._open

    def _end(self, answer: Answer) -> Piece:
        self._close_one()
        return Piece(answer.choice, answer.splice.end())

    def _fail(self, answer: Answer, frame: Frame) -> Piece:
        if has_no_room(frame) and answer.splice.is_spliced:
            return self._end(answer)  # the server that was lost would have had none either
        overdue = self.waited_s >= self.jobs[0].deadline_s
        if frame.kind is Kind.EXPIRED or (overdue and frame.kind in _BY_OTHERS):
            raise self._expired()
        raise failure(frame, self.stay)

    def _check_time(self) -> None:
        """Raises what the client is told once it has waited for too long."""
        if self.done:
            return
        job, waited_s, directory = self.jobs[0], self.waited_s, self.context.directory
        limit_s = job.deadline_s if self._was_started else min(job.wait_s, job.deadline_s)
        if waited_s > limit_s:
            raise self._expired()
        if not self.started:
            check_model(job, directory, waited_s)
        for answer in self._answers:
            check_continuation(answer, directory, waited_s)

    def _expired(self) -> LlamaqError:
        return expired(self.jobs[0].model, self.context.directory, self.waited_s, self.started)
