"""An answer in events of another form than OpenAI's chunks: passed on as they come."""

import time

from dispatcher.job import Want
from dispatcher.outgoing import Outgoing
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
        self._begun = False

    def take(self, data: bytes) -> Result | None:
        """See `Answer`."""
        for event in self._whole_events(data).split(b"\n\n"):
            result = self._take_event(without_comments(event))
            if result is not None:
                return result
        return None

    def _take_event(self, event: bytes) -> Result | None:
        type_ = read_event(event).type
        if type_ is Type.NOTHING:
            return None  # a comment comes from a wedged engine too
        self.moved_at = time.monotonic()
        if type_ is Type.ERROR:
            return refused(500, event.removeprefix(b"data: "))
        if not self._begun and model_of(event) is not None and not self._is_ours(event):
            return another_model(event)
        self._begun = True
        self._count(event)
        if type_ is Type.PROGRESS:
            self.phase = Phase.FIRST_TOKEN if prompt_is_done(event) else Phase.PROMPT
            shown = for_client(event, Type.PROGRESS, self._wants)
        else:
            self.phase = Phase.NEXT_TOKEN
            is_last = self._last in event
            shown = event if self._timed or is_last else without_timings(event)
        if shown is not None:
            self._show(shown + b"\n\n")
        return self._done() if self._last in event else None

    def _count(self, event: bytes) -> None:
        tokens, _ = last_count(event)
        self._tokens = max(self._tokens, tokens)
        if b'"timings":{' in event:
            self.meter.timed = event
