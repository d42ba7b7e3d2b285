"""One attempt at one job: asks the server, passes the events on, and says how it ended."""

import json
import time
from dataclasses import dataclass
from enum import Enum, auto

from dispatcher.errors import WorkerFailed
from dispatcher.frames import Frame, Kind
from dispatcher.job import Claim, Want
from dispatcher.outbox import Outbox, Pace
from worker_bridge.chat_connection import ChatConnection, ConnectionBroken
from worker_bridge.events import (
    Type,
    for_client,
    is_last,
    model_of,
    prompt_is_done,
    read_event,
    with_timings_of,
    without_comments,
)
from worker_bridge.llama import LlamaServer, Props
from worker_bridge.meter import Meter
from worker_bridge.stop import Phase
from worker_bridge.verdict import Fault, judge, status_for_client


class End(Enum):
    """How an attempt ended, by what has to be done next."""

    DONE = auto()  # the answer is complete
    REJECTED = auto()  # the server's refusal is the answer
    TOO_LONG = auto()  # as REJECTED, unless there is a worker with more context
    WORKER = auto()  # another worker may try; costs an attempt
    UNSURE = auto()  # as WORKER; if that says the same, it is the answer
    OVERLOADED = auto()  # as WORKER, and the server needs a moment
    CRASHED = auto()  # as WORKER, and the server broke while it had the job
    NOT_REACHED = auto()  # another worker may try; costs nothing
    LOADING = auto()
    SETUP = auto()  # another worker may try; a job may meet only a few such servers
    STALLED = auto()  # as WORKER, and the server stood still
    GIVEN_BACK = auto()  # for a reason that is neither the server's nor the job's


_ENDS = {
    Fault.REQUEST: End.REJECTED,
    Fault.MODEL: End.REJECTED,
    Fault.CONTEXT: End.TOO_LONG,
    Fault.WORKER: End.WORKER,
    Fault.UNSURE: End.UNSURE,
    Fault.OVERLOADED: End.OVERLOADED,
    Fault.LOADING: End.LOADING,
    Fault.SETUP: End.SETUP,
}
_UNREADABLE = (
    "The model's answer can't be read: {}. Please send the request again, or with other tools."
)


@dataclass(frozen=True, slots=True)
class Result:
    """How an attempt ended: the payload of its last frame, or the error if it is given back.

    `refusal` is the last frame's where that is not known yet.
    """

    end: End
    payload: bytes = b""
    refusal: bytes = b""


class Run:
    """One attempt while it runs. Clients call the server's model `model`."""

    def __init__(self, claim: Claim, worker: str, outbox: Outbox, props: Props, model: str) -> None:
        self.claim = claim
        self.phase = Phase.SLOT
        self.meter = Meter()
        self.moved_at = self.started_at = time.monotonic()
        self._outbox = outbox
        self._model_id = json.dumps(props.model_id, ensure_ascii=False).encode()
        self._model = json.dumps(model, ensure_ascii=False).encode()
        self._seq = 0
        self._pace = Pace.NOW if Want.STREAM in claim.wants else Pace.LAZY
        self._tokens = 0
        self._answered = self._finished = False
        self._told_prompt = False
        self._last_chunk = b""
        started = {"worker": worker, "queue_ms": claim.queue_ms, "build": props.fingerprint}
        self._send(Kind.STARTED, json.dumps(started).encode(), Pace.LAZY)

    async def ask(self, server: LlamaServer, body: bytes) -> Result:
        """Runs the request to its end; raises nothing but `CancelledError`."""
        try:
            async with server.chat(body) as response:
                self.phase = Phase.PROMPT
                if response.status != 200:
                    return _refusal(response.status, await response.body())
                return await self._pass_on(response)
        except ConnectionBroken as gone:
            if gone.reached:
                return self._broken_off(str(gone))
            return Result(End.NOT_REACHED, failure(f"The worker has no llama-server: {gone}"))

    def last_frame(self, kind: Kind, payload: bytes) -> Frame:
        """The frame that ends the reply."""
        return Frame(kind, self._seq, self._tokens, payload)

    def _send(self, kind: Kind, payload: bytes, pace: Pace) -> None:
        visible = kind is Kind.CHUNK and Want.STREAM in self.claim.wants
        frame = Frame(kind, self._seq, self._tokens, payload)
        self._outbox.add(self.claim, frame, pace, visible=visible)
        self._seq += 1

    async def _pass_on(self, answer: ChatConnection) -> Result:
        async for events in answer.events():
            for event in events:
                result = self._take(event)
                if result is not None:
                    return result
        return self._broken_off("it broke off its answer")

    def _broken_off(self, how: str) -> Result:
        """An answer that says why it ended is whole, though no `[DONE]` follows."""
        return self._complete() if self._finished else _crash(how)

    def _take(self, event: bytes) -> Result | None:
        event = without_comments(event)
        seen = read_event(event)
        if seen.type is Type.NOTHING:
            return None  # a comment comes from a wedged engine too
        self.moved_at = time.monotonic()
        if seen.type is Type.DONE:
            return self._complete()
        if seen.type is Type.ERROR:
            return _refusal(500, event.removeprefix(b"data: "))
        if not self._answered:
            model = model_of(event)
            if model != self._model_id:
                said = (model or b"nothing").decode(errors="replace")
                return Result(End.SETUP, failure(f"The server has another model now: {said}"))
            self._answered = True
        self._tokens = max(self._tokens, seen.tokens)
        self._enter_phase(event, seen.type)
        self.meter.see(event, seen)
        self._forward(event, seen.type)
        return None

    def _enter_phase(self, event: bytes, type_: Type) -> None:
        if type_ is Type.CHUNK:
            self.phase = Phase.NEXT_TOKEN
        elif type_ is Type.PROGRESS and prompt_is_done(event):
            self.phase = Phase.FIRST_TOKEN

    def _forward(self, event: bytes, type_: Type) -> None:
        if type_ is Type.PROGRESS and Want.STREAM in self.claim.wants and not self._told_prompt:
            self._told_prompt = True  # who goes on with the answer elsewhere must know its size
            self._send(Kind.PROMPT, event, Pace.LAZY)
        shown = for_client(event, type_, self.claim.wants)
        self._finished = self._finished or is_last(event, type_)
        if shown and is_last(event, type_):
            self._last_chunk = shown  # goes with the usage: a stream has both or neither
        elif self._last_chunk and type_ is Type.USAGE:
            last, self._last_chunk = self._last_chunk, b""
            self._show(*((last, shown) if shown else (with_timings_of(event, last),)))
        elif shown is not None:
            self._show(shown)

    def _show(self, *events: bytes) -> None:
        if self._model != self._model_id:
            named, name = b'"model":' + self._model_id, b'"model":' + self._model
            events = tuple(event.replace(named, name, 1) for event in events)
        self._send(Kind.CHUNK, b"".join(event + b"\n\n" for event in events), self._pace)
        if self._pace is Pace.NOW:
            self._pace = Pace.SOON

    def _complete(self) -> Result:
        if self._last_chunk:  # no usage event came
            self._show(self._last_chunk)
        used = self.meter.usage
        usage = {"prompt_tokens": used.prompt, "completion_tokens": used.completion}
        return Result(End.DONE, json.dumps(usage).encode())


def failure(message: str) -> bytes:
    """What the client is told when no other worker may try."""
    return json.dumps({"code": WorkerFailed.code, "message": message}).encode()


def _crash(how: str) -> Result:
    return Result(
        End.CRASHED,
        failure(f"The worker's llama-server crashed while it had this request: {how}."),
    )


def _refusal(status: int, body: bytes) -> Result:
    verdict = judge(status, body)
    end = _ENDS[verdict.fault]
    if verdict.fault is Fault.MODEL:
        body = json.dumps({"error": {"message": _UNREADABLE.format(verdict.message)}}).encode()
    told: dict[str, int | str] = {"status": status_for_client(status, verdict.fault)}
    refusal = json.dumps(told | {"body": body.decode(errors="replace")}).encode()
    if end in (End.REJECTED, End.TOO_LONG):
        return Result(end, refusal)
    error = failure(f"The worker failed: {verdict.message}")
    return Result(end, error, refusal if end is End.UNSURE else b"")
