"""An answer in chunks while it comes: what of it is passed on, and how it ends."""

import time

from dispatcher.frames import Kind
from dispatcher.job import Want
from dispatcher.outgoing import Outgoing
from dispatcher.spacing import Pace
from worker_bridge.answer import Answer, another_model
from worker_bridge.ends import Result
from worker_bridge.events import (
    Type,
    end_of_text,
    for_client,
    has_usage,
    prompt_is_done,
    read_event,
    usage_after,
    with_timings_of,
    without_comments,
    without_timings,
)
from worker_bridge.stop import Phase
from worker_bridge.verdict import refused


class ChunkAnswer(Answer):
    """An answer in OpenAI's chunks, which `[DONE]` ends."""

    def __init__(
        self, wants: frozenset[Want], outgoing: Outgoing, model_id: str, model: str
    ) -> None:
        super().__init__(wants, outgoing, model_id, model)
        self._answered = self._finished = self._told_prompt = False
        self._last_chunk = b""

    def take(self, data: bytes) -> Result | None:
        """See `Answer`."""
        events = self._whole_events(data)
        return self._take_events(events) if events else None

    def break_off(self, how: str) -> Result:
        """An answer that said why it ended is whole, also without `[DONE]`."""
        return self._complete() if self._finished else super().break_off(how)

    def _take_events(self, events: bytes) -> Result | None:
        at, end = 0, len(events)
        while at < end:
            end_of = at if self._finished else end_of_text(events, at)
            if end_of > at and (self._answered or self._is_ours(events[at:end_of])):
                self._answered = True
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
            return another_model(event)
        self._answered = True
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
        if is_last and has_usage(event):  # a text completion tells all at once
            self._finished, self.meter.counted = True, event
            self._show(event + b"\n\n")
            return
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

    def _complete(self) -> Result:
        used = self.meter.usage
        if self._last_chunk:  # no usage event came
            wanted = Want.USAGE in self._wants
            owed = [usage_after(self._last_chunk, used)] if wanted else []
            self._show_each(self._last_chunk, *owed)
        return self._done()
