"""One attempt at one job, from its request to its end."""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from dispatcher.errors import RedisUnavailable
from dispatcher.frames import Frame, Kind
from dispatcher.job import Claim
from dispatcher.outbox import Outbox
from dispatcher.outgoing import Refusal
from dispatcher.spacing import Pace
from dispatcher.worker import WorkerSession
from worker_bridge.answers import answer_to
from worker_bridge.attempt_trace import begin_trace
from worker_bridge.connection import Connection
from worker_bridge.ends import End, Result, failure
from worker_bridge.llama import LlamaServer
from worker_bridge.meter import Timings
from worker_bridge.stop import Stop, stopped

_RETRY_S = 0.2
_LOOK_S = 1.0
_STOPS = {
    Refusal.FOREIGN: Stop.FENCED,
    Refusal.GONE: Stop.ORPHANED,
    Refusal.SLOW: Stop.CANCELLED,
    Refusal.FAILED: Stop.CANCELLED,
}


@dataclass(frozen=True, slots=True, eq=False)  # its hash is cheap then
class Served:
    """What a worker serves: clients call `model` what its server calls `model_id`.

    Orders for its `place` hold for it (`dispatcher.orders`).
    """

    worker: str
    model: str
    model_id: str
    fingerprint: str
    place: str = ""


class Attempt:
    """One attempt while it runs. Its connection and its outbox call it; no task waits for tokens.

    `round` is the breaker's. One that `is_side` takes no slot: it tells nothing of the engine.
    `stopped_by` tells why it was stopped. At its end it calls `ended` once, with itself and its
    result, or with an error that nobody had thought of. For the log it keeps that `result`, the
    server's last `timings`, when that had `begun_at`, what its job `became`, and its `trace`. Times
    are those of the monotonic clock, in seconds.
    """

    def __init__(
        self,
        claim: Claim,
        served: Served,
        outbox: Outbox,
        ended: Callable[["Attempt", Result | Exception], None],
        round_: int = 0,
    ) -> None:
        self.claim = claim
        self.is_side = claim.needs.side
        self.round = round_
        self.paused = False
        self.has_ended = False
        self.stopped_by: Stop | None = None
        self.started_at = time.monotonic()
        self.begun_at: float | None = None
        self.result: Result | None = None
        self.timings: Timings | None = None
        self.became = ""
        self.trace = begin_trace(claim) if claim.trace else None
        self.outgoing = outbox.open(claim, self)
        self.answer = answer_to(claim, self.outgoing, served.model_id, served.model)
        self._ended = ended
        self._connection: Connection | None = None
        self._preparing: asyncio.Task[None] | None = None
        self.outgoing.add(Kind.STARTED, _started(served) % claim.queue_ms, Pace.LAZY)

    def last_frame(self, kind: Kind, payload: bytes) -> Frame:
        """The frame that ends the reply."""
        return self.outgoing.last(kind, payload)

    def let_go(self) -> None:
        """Drops what it has said, once that is settled: no cycle is left for the collector."""
        del self.answer, self.outgoing

    def begin(self, server: LlamaServer, bodies: WorkerSession) -> None:
        """Sends the request, where its body has come with the claim; else reads that first.

        Before the rest of an answer the server is asked whether it still is what began it.
        """
        if self.claim.body is not None and not self.claim.needs.fingerprint:
            self._send(server, self.claim.body)
        else:
            self._preparing = asyncio.create_task(self._prepare(server, bodies))

    def stop(self, why: Stop) -> None:
        """Drops the request; does nothing where it has ended."""
        if self.has_ended:
            return
        self.stopped_by = why
        self._end(stopped(why, self.answer.phase, time.monotonic() - self.answer.moved_at))

    async def _prepare(self, server: LlamaServer, bodies: WorkerSession) -> None:
        try:
            body = await self._body(bodies)
            other = await self._other_model(server)
        except Exception as error:
            self._end(error)
            return
        if body is None:  # the job has ended meanwhile
            self.stop(Stop.CANCELLED)
        elif other is not None:
            self._end(other)
        elif not self.has_ended:
            self._send(server, body)

    async def _other_model(self, server: LlamaServer) -> Result | None:
        """How it ends where the server has other weights by now than the claim needs."""
        fingerprint = self.claim.needs.fingerprint
        _, props = await server.props(_LOOK_S) if fingerprint else (None, None)
        if props is None or props.fingerprint == fingerprint:
            return None
        return Result(End.SETUP, failure("The server has other weights now, or another build."))

    async def _body(self, bodies: WorkerSession) -> bytes | None:
        while True:
            try:
                return await bodies.body(self.claim)
            except RedisUnavailable:
                await asyncio.sleep(_RETRY_S)

    def _send(self, server: LlamaServer, body: bytes) -> None:
        try:
            traceparent = self.claim.trace if self.trace is None else self.trace.traceparent
            self._connection = server.post(self.claim.path, body, self, traceparent)
            if not self.is_side:
                self.answer.asked(len(body))
            self._connection.open()
            if self.paused:  # by its first frame
                self._connection.pause()
        except Exception as error:
            self._end(error)

    def _end(self, how: Result | Exception) -> None:
        if self.has_ended:
            return
        self.has_ended = True
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._preparing is not None:
            self._preparing.cancel()
        self._ended(self, how)

    # what the outbox calls

    def refused(self, refusal: Refusal) -> None:
        """Nobody gets the answer."""
        self.stop(_STOPS[refusal])

    def pause(self) -> None:
        """Lets the server wait."""
        self.paused = True
        if self._connection is not None:
            self._connection.pause()

    def resume(self) -> None:
        """Reads on. The pause counts for no stall."""
        self.paused = False
        self.answer.moved_at = time.monotonic()
        if self._connection is not None:
            self._connection.resume()

    def read(self) -> None:
        """Passes on what has come. Until `listen`, only this and the end pass more on."""
        if self._connection is not None:
            self._connection.read()

    def listen(self) -> None:
        """Passes on what comes as it comes."""
        if self._connection is not None:
            self._connection.listen()

    # what the connection calls

    def begun(self, status: int) -> None:
        """The server has answered, and so begun."""
        self.begun_at = time.monotonic()
        self.answer.begin(status)

    def received(self, data: bytes) -> None:
        """Passes a piece of the answer on."""
        try:
            result = self.answer.take(data)
        except Exception as error:  # nobody thought of it, and the server is not to blame
            self._end(error)
            return
        if result is not None:
            self._end(result)

    def complete(self) -> None:
        """The server says that this was all."""
        self._end(self.answer.end())

    def broken(self, how: str) -> None:
        """The connection has ended before the answer."""
        self._end(self.answer.break_off(how))

    def not_reached(self, error: Exception) -> None:
        """The server never had the request."""
        message = f"The worker has no llama-server: can't connect: {error}"
        self._end(Result(End.NOT_REACHED, failure(message)))


@lru_cache(maxsize=64)
def _started(served: Served) -> bytes:
    """What the first frame of each attempt says; the time in the queue is still to be put in."""
    about = {"worker": served.worker, "queue_ms": 0, "build": served.fingerprint}
    return json.dumps(about).replace("%", "%%").replace(": 0,", ": %d,", 1).encode()
