"""An answer in events of another form than OpenAI's chunks: passed on as they come."""

import time

from dispatcher.frames import Kind
from dispatcher.job import Want
from dispatcher.outgoing import Outgoing
from dispatcher.spacing import Pace
from worker_bridge.answer import Answer, another_model, model_of
from worker_bridge.ends import Result
from worker_bridge.events import (
    Type,
    for_client,
    last_count,
    prompt_is_done,
    read_event,
    without_comments,
    without_timings,
)
from worker_bridge.stop import Phase
from worker_bridge.verdict import refused

_BEGINNINGS = (b"data:", b"event:")
# What makes an event more than a part of the answer. In a string its quotes have backslashes.
_SPECIAL = (b'"prompt_progress":{', b'{"error"', b"\n:")


class EventAnswer(Answer):
    """An answer in events, the last of which has the words `last` in it."""

    def __init__(
        self,
        wants: frozenset[Want],
        outgoing: Outgoing,
        model_id: str,
        model: str,
        last: bytes,
    ) -> None:
        super().__init__(wants, outgoing, model_id, model)
        self._last = last
        self._begun = self._told_prompt = False

    def take(self, data: bytes) -> Result | None:
        """See `Answer`."""
        events = self._whole_events(data)
        if not events:
            return None
        if self._begun and self._are_parts(events):
            self._take_text(events)
            return None
        for event in events.split(b"\n\n"):
            if event.startswith(b":") or event.find(b"\n:") >= 0:
                event = without_comments(event)
            result = self._take_event(event)
            if result is not None:
                return result
        return None

    def _are_parts(self, events: bytes) -> bool:
        """Whether all events surely are parts of the answer, as most are."""
        if not events.startswith(_BEGINNINGS) or events.find(self._last) >= 0:
            return False
        return all([events.find(word) < 0 for word in _SPECIAL])

    def _take_event(self, event: bytes) -> Result | None:
        data = _data_of(event)
        type_ = read_event(data).type
        if type_ is Type.NOTHING:
            return None  # a comment comes from a wedged engine too
        self.moved_at = time.monotonic()
        if type_ is Type.ERROR:
            return refused(500, data.removeprefix(b"data: "))
        is_last = event.find(self._last) >= 0
        if (is_last or not self._begun) and not self._names_no_other(event):
            return another_model(event)
        self._begun = True
        self._count(event)
        if type_ is Type.PROGRESS:
            self._take_progress(event)
        else:
            self.phase = Phase.NEXT_TOKEN
            shown = event if self._timed or is_last else without_timings(event)
            self._show(shown + b"\n\n")
        return self._done() if is_last else None

    def _take_progress(self, event: bytes) -> None:
        self.phase = Phase.FIRST_TOKEN if prompt_is_done(event) else Phase.PROMPT
        if self._streamed and not self._told_prompt:
            self._told_prompt = True  # who goes on with the answer elsewhere must know its size
            self._outgoing.add(Kind.PROMPT, event, Pace.LAZY)
        shown = for_client(event, Type.PROGRESS, self._wants)
        if shown is not None:
            self._show(shown + b"\n\n")

    def _names_no_other(self, event: bytes) -> bool:
        """Whether it names the expected model, or none."""
        return model_of(event) is None or self._is_ours(event)

    def _count(self, event: bytes) -> None:
        tokens, _ = last_count(event)
        self._tokens = max(self._tokens, tokens)
        if b'"timings":{' in event:
            self.meter.timed = _data_of(event)


def _data_of(event: bytes) -> bytes:
    """The event without its name, which stands in a line before its data."""
    return event[event.find(b"\ndata:") + 1 :] if event.startswith(b"event:") else event
