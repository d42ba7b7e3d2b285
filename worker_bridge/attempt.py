"""One attempt at one job, from its request to its end."""

import asyncio
import json
import time
from dataclasses import dataclass
from functools import lru_cache

from dispatcher.errors import RedisUnavailable
from dispatcher.frames import Frame, Kind
from dispatcher.job import Claim
from dispatcher.outbox import Outbox
from dispatcher.outgoing import Refusal
from dispatcher.spacing import Pace
from dispatcher.worker import WorkerSession
from worker_bridge.answer import Answer
from worker_bridge.connection import Connection
from worker_bridge.ends import End, Result, failure
from worker_bridge.llama import LlamaServer
from worker_bridge.stop import Stop, stopped

_CONNECT_S = 5.0
_RETRY_S = 0.2
_STOPS = {
    Refusal.FOREIGN: Stop.FENCED,
    Refusal.GONE: Stop.ORPHANED,
    Refusal.SLOW: Stop.CANCELLED,
    Refusal.FAILED: Stop.CANCELLED,
}


@dataclass(frozen=True, slots=True, eq=False)  # its hash is cheap then
class Served:
    """What a worker serves: clients call `model` what its server calls `model_id`."""

    worker: str
    model: str
    model_id: str
    fingerprint: str


class Attempt:
    """One attempt while it runs. Its connection and its outbox call it; no task waits for tokens.

    `round` is the breaker's. `stopped_by` tells why it was stopped.
    """

    def __init__(self, claim: Claim, served: Served, outbox: Outbox, round_: int = 0) -> None:
        self.claim = claim
        self.round = round_
        self.paused = False
        self.stopped_by: Stop | None = None
        self.started_at = time.monotonic()
        self.outgoing = outbox.open(claim, self)
        self.answer = Answer(claim.wants, self.outgoing, served.model_id, served.model)
        self._result: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._connection: Connection | None = None
        self._opening: asyncio.Task[None] | None = None
        self.outgoing.add(Kind.STARTED, _started(served) % claim.queue_ms, Pace.LAZY)

    @property
    def has_ended(self) -> bool:
        """Whether it is known how it ended."""
        return self._result.done()

    def last_frame(self, kind: Kind, payload: bytes) -> Frame:
        """The frame that ends the reply."""
        return self.outgoing.last(kind, payload)

    async def ask(self, server: LlamaServer, bodies: WorkerSession) -> Result:
        """Runs the request to its end, or until it is stopped."""
        self._opening = asyncio.current_task()
        try:
            await self._open(server, bodies)
        except asyncio.CancelledError:
            if not self.has_ended:
                raise
            self._opening.uncancel()  # type: ignore[union-attr]
        except (OSError, TimeoutError) as error:
            message = f"The worker has no llama-server: can't connect: {error}"
            self._end(Result(End.NOT_REACHED, failure(message)))
        finally:
            self._opening = None
        try:
            return await self._result
        finally:
            self._close()

    def stop(self, why: Stop) -> None:
        """Drops the request; does nothing where it has ended."""
        if self.has_ended:
            return
        self.stopped_by = why
        self._end(stopped(why, self.answer.phase, time.monotonic() - self.answer.moved_at))
        self._close()
        if self._opening is not None:
            self._opening.cancel()

    async def _open(self, server: LlamaServer, bodies: WorkerSession) -> None:
        while True:
            try:
                body = await bodies.body(self.claim)
                break
            except RedisUnavailable:
                await asyncio.sleep(_RETRY_S)
        if body is None:  # the job has ended meanwhile
            self.stop(Stop.CANCELLED)
            return
        self._connection = server.post(self.claim.path, body, self)
        async with asyncio.timeout(_CONNECT_S):
            await self._connection.open()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _end(self, result: Result) -> None:
        if not self._result.done():
            self._result.set_result(result)

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
        self.answer.begin(status)

    def received(self, data: bytes) -> None:
        """Passes a piece of the answer on."""
        try:
            result = self.answer.take(data)
        except Exception as error:  # nobody thought of it, and the server is not to blame
            self._result.set_exception(error)
            self._close()
            return
        if result is not None:
            self._end(result)
            self._close()

    def complete(self) -> None:
        """The server says that this was all."""
        self._end(self.answer.end())

    def broken(self, how: str) -> None:
        """The connection has ended before the answer."""
        self._end(self.answer.break_off(how))


@lru_cache(maxsize=64)
def _started(served: Served) -> bytes:
    """What the first frame of each attempt says; the time in the queue is still to be put in."""
    about = {"worker": served.worker, "queue_ms": 0, "build": served.fingerprint}
    return json.dumps(about).replace("%", "%%").replace(": 0,", ": %d,", 1).encode()
