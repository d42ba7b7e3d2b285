"""A server's answer while it comes: what of it is passed on, and how it ends."""

import json
import time

from dispatcher.frames import Kind
from dispatcher.job import Want
from dispatcher.outgoing import Outgoing
from dispatcher.spacing import Pace
from worker_bridge.ends import End, Result, failure
from worker_bridge.events import (
    Type,
    for_client,
    is_last,
    is_text,
    model_of,
    prompt_is_done,
    read_event,
    split_timings,
    usage_after,
    with_timings_of,
    without_comments,
)
from worker_bridge.meter import Meter
from worker_bridge.stop import Phase
from worker_bridge.verdict import refused


class Answer:
    """Takes the bytes of one answer, and says in `outgoing` what its client `wants` to see.

    Clients call `model` what the server calls `model_id`. The last progress was at `moved_at`, in
    seconds of the monotonic clock.
    """

    def __init__(
        self, wants: frozenset[Want], outgoing: Outgoing, model_id: str, model: str
    ) -> None:
        self.phase = Phase.SLOT
        self.meter = Meter()
        self.moved_at = time.monotonic()
        self._wants = wants
        self._outgoing = outgoing
        self._model_id = json.dumps(model_id, ensure_ascii=False).encode()
        self._model = json.dumps(model, ensure_ascii=False).encode()
        self._streamed = Want.STREAM in wants
        self._timed = Want.TIMINGS in wants
        self._pace = Pace.NOW if self._streamed else Pace.LAZY
        self._status = 0
        self._rest = b""
        self._tokens = 0
        self._answered = self._finished = self._told_prompt = False
        self._last_chunk = b""

    def begin(self, status: int) -> None:
        """The status and the headers are there: the server has begun."""
        self._status = status
        self.phase = Phase.PROMPT

    def take(self, data: bytes) -> Result | None:
        """Passes on what is whole; returns how the attempt ended if it has."""
        data = self._rest + data
        end = data.rfind(b"\n\n") if self._status == 200 else -1
        if end < 0:
            self._rest = data
            return None
        self._rest = data[end + 2 :]
        return self._take_events(data[:end].split(b"\n\n"))

    def end(self) -> Result:
        """The server says that this was all."""
        if self._status == 200:
            return self.break_off("it broke off its answer")
        return refused(self._status, self._rest)

    def break_off(self, how: str) -> Result:
        """Nothing more comes. An answer that said why it ended is whole, also without `[DONE]`."""
        if self._finished:
            return self._complete()
        crash = f"The worker's llama-server crashed while it had this request: {how}."
        return Result(End.CRASHED, failure(crash))

    def _take_events(self, events: list[bytes]) -> Result | None:
        text: list[bytes] = []
        for event in events:
            if self._answered and is_text(event):
                bare, tokens = split_timings(event)
                if tokens:
                    self._tokens = max(self._tokens, tokens)
                    self.meter.timed = event
                text.append(event if self._timed else bare)
                continue
            if text:
                self._show_text(text)
                text = []
            result = self._take_event(event)
            if result is not None:
                return result
        if text:
            self._show_text(text)
        return None

    def _show_text(self, events: list[bytes]) -> None:
        self.moved_at = time.monotonic()
        self.phase = Phase.NEXT_TOKEN
        self._show(*events)

    def _take_event(self, event: bytes) -> Result | None:
        event = without_comments(event)
        seen = read_event(event)
        if seen.type is Type.NOTHING:
            return None  # a comment comes from a wedged engine too
        self.moved_at = time.monotonic()
        if seen.type is Type.DONE:
            return self._complete()
        if seen.type is Type.ERROR:
            return refused(500, event.removeprefix(b"data: "))
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
        if type_ is Type.PROGRESS and self._streamed and not self._told_prompt:
            self._told_prompt = True  # who goes on with the answer elsewhere must know its size
            self._outgoing.add(Kind.PROMPT, event, Pace.LAZY)
        shown = for_client(event, type_, self._wants)
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
        self._outgoing.add_text(b"\n\n".join((*events, b"")), self._tokens, self._pace)
        if self._pace is Pace.NOW:
            self._pace = Pace.SOON

    def _complete(self) -> Result:
        used = self.meter.usage
        if self._last_chunk:  # no usage event came
            wanted = Want.USAGE in self._wants
            owed = [usage_after(self._last_chunk, used)] if wanted else []
            self._show(self._last_chunk, *owed)
        usage = {"prompt_tokens": used.prompt, "completion_tokens": used.completion}
        return Result(End.DONE, json.dumps(usage).encode())
