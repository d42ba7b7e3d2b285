"""A server's answer while it comes: what of it is passed on, and how it ends."""

import json
import time
from functools import lru_cache

from dispatcher.frames import Kind
from dispatcher.job import Want
from dispatcher.outgoing import Outgoing
from dispatcher.spacing import Pace
from worker_bridge.ends import End, Result, failure
from worker_bridge.events import (
    Type,
    end_of_text,
    for_client,
    last_count,
    model_of,
    prompt_is_done,
    read_event,
    usage_after,
    with_timings_of,
    without_comments,
    without_timings,
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
        self._model_id = _as_json(model_id)
        self._model = _as_json(model)
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
        if self._rest:
            data = self._rest + data
        whole = data.rfind(b"\n\n") + 2 if self._status == 200 else 0
        if whole < 2:
            self._rest = data
            return None
        self._rest = data[whole:]
        return self._take_events(data[:whole])

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

    def _take_events(self, events: bytes) -> Result | None:
        at, end = 0, len(events)
        while at < end:
            end_of = at if self._finished else end_of_text(events, at)
            if end_of > at and (self._answered or self._is_ours(events[at:end_of])):
                self._take_text(events[at:end_of])
                at = end_of
                continue
            end_of = events.index(b"\n\n", at)
            event = events[at:end_of]
            if event.startswith(b":") or event.find(b"\n:") >= 0:
                event = without_comments(event)
            result = self._take_event(event)
            if result is not None:
                return result
            at = end_of + 2
        return None

    def _take_text(self, events: bytes) -> None:
        """Most events are only text: many cost little more than one."""
        self.moved_at = time.monotonic()
        self.phase = Phase.NEXT_TOKEN
        tokens, begin = last_count(events)
        if tokens:
            self._tokens = max(self._tokens, tokens)
            self.meter.timed = events[begin:]
        self._show(events if self._timed else without_timings(events))

    def _is_ours(self, events: bytes) -> bool:
        """Whether the first events name the model that the server is to have."""
        self._answered = model_of(events) == self._model_id
        return self._answered

    def _take_event(self, event: bytes) -> Result | None:
        type_, tokens = read_event(event)
        if type_ is Type.NOTHING:
            return None  # a comment comes from a wedged engine too
        self.moved_at = time.monotonic()
        if type_ is Type.DONE:
            return self._complete()
        if type_ is Type.ERROR:
            return refused(500, event.removeprefix(b"data: "))
        if not self._answered and not self._is_ours(event):
            said = (model_of(event) or b"nothing").decode(errors="replace")
            return Result(End.SETUP, failure(f"The server has another model now: {said}"))
        if tokens:
            self._tokens = max(self._tokens, tokens)
            self.meter.timed = event
        if type_ is Type.PROGRESS:
            self._take_progress(event)
        elif type_ is Type.USAGE:
            self._take_usage(event)
        else:
            self._take_chunk(event, is_last=type_ is Type.LAST)
        return None

    def _take_progress(self, event: bytes) -> None:
        self.meter.timed = event
        if prompt_is_done(event):
            self.phase = Phase.FIRST_TOKEN
        if self._streamed and not self._told_prompt:
            self._told_prompt = True  # who goes on with the answer elsewhere must know its size
            self._outgoing.add(Kind.PROMPT, event, Pace.LAZY)
        shown = for_client(event, Type.PROGRESS, self._wants)
        if shown is not None:
            self._show(shown + b"\n\n")

    def _take_chunk(self, event: bytes, *, is_last: bool) -> None:
        self.phase = Phase.NEXT_TOKEN
        shown = event if self._timed else without_timings(event)
        if is_last:
            self._finished = True
            self._last_chunk = shown  # goes with the usage: a stream has both or neither
        else:
            self._show(shown + b"\n\n")

    def _take_usage(self, event: bytes) -> None:
        self.meter.counted = event
        shown = for_client(event, Type.USAGE, self._wants)
        last, self._last_chunk = self._last_chunk, b""
        if last:
            self._show_each(*((last, shown) if shown else (with_timings_of(event, last),)))
        elif shown:
            self._show(shown + b"\n\n")

    def _show_each(self, *events: bytes) -> None:
        self._show(b"\n\n".join((*events, b"")))

    def _show(self, events: bytes) -> None:
        if self._model != self._model_id:
            events = events.replace(b'"model":' + self._model_id, b'"model":' + self._model)
        self._outgoing.add_text(events, self._tokens, self._pace)
        if self._pace is Pace.NOW:
            self._pace = Pace.SOON

    def _complete(self) -> Result:
        used = self.meter.usage
        if self._last_chunk:  # no usage event came
            wanted = Want.USAGE in self._wants
            owed = [usage_after(self._last_chunk, used)] if wanted else []
            self._show_each(self._last_chunk, *owed)
        usage = b'{"prompt_tokens": %d, "completion_tokens": %d}' % (used.prompt, used.completion)
        return Result(End.DONE, usage)


@lru_cache(maxsize=64)
def _as_json(name: str) -> bytes:
    return json.dumps(name, ensure_ascii=False).encode()
