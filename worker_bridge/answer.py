"""A server's answer while it comes: what all its forms have in common."""

import json
import re
import time
from abc import ABC, abstractmethod
from functools import lru_cache

from dispatcher.job import Want
from dispatcher.outgoing import Outgoing
from dispatcher.spacing import Pace
from worker_bridge.ends import End, Result, failure
from worker_bridge.events import last_count, without_timings
from worker_bridge.meter import Meter
from worker_bridge.stop import Phase
from worker_bridge.verdict import refused

_USED = b'{"prompt_tokens": %d, "completion_tokens": %d, "cached_tokens": %d}'
_MODEL = re.compile(rb'"model":("(?:[^"\\]|\\.)*")')


class Answer(ABC):
    """Takes the bytes of one answer, and says in `outgoing` what its client `wants` to see.

    Clients call `model` what the server calls `model_id`. The last progress was at `moved_at`, the
    first token at `first_at`, in seconds of the monotonic clock.
    """

    def __init__(
        self, wants: frozenset[Want], outgoing: Outgoing, model_id: str, model: str
    ) -> None:
        self.phase = Phase.SLOT
        self.meter = Meter()
        self.moved_at = time.monotonic()
        self.first_at: float | None = None
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

    def asked(self, size_bytes: int) -> None:  # noqa: B027  # most wait for what the server says
        """The request is on its way; it has this number of bytes."""

    def begin(self, status: int) -> None:
        """The status and the headers are there: the server has begun."""
        self._status = status
        self.phase = Phase.PROMPT

    @abstractmethod
    def take(self, data: bytes) -> Result | None:
        """Passes on what is whole; returns how the attempt ended if it has."""

    def end(self) -> Result:
        """The server says that this was all."""
        if self._status == 200:
            return self.break_off("it broke off its answer")
        return refused(self._status, self._rest)

    def break_off(self, how: str) -> Result:
        """Nothing more comes."""
        crash = f"The worker's llama-server crashed while it had this request: {how}."
        return Result(End.CRASHED, failure(crash))

    def _whole_events(self, data: bytes) -> bytes:
        """The events that are whole now, an earlier rest included; nothing of a refusal."""
        if self._rest:
            data = self._rest + data
        whole = data.rfind(b"\n\n") + 2 if self._status == 200 else 0
        if whole < 2:
            self._rest = data
            return b""
        self._rest = data[whole:]
        return data[:whole]

    def _is_ours(self, events: bytes) -> bool:
        """Whether the first events name the expected model."""
        return model_of(events) == self._model_id

    def _take_text(self, events: bytes) -> None:
        """Most events are only text: many cost little more than one."""
        self.moved_at = time.monotonic()
        self.phase = Phase.NEXT_TOKEN
        tokens, begin = last_count(events)
        if tokens:
            self._tokens = max(self._tokens, tokens)
            self.meter.timed = events[begin:]
        self._show(events if self._timed else without_timings(events))

    def _show(self, events: bytes) -> None:
        if self._model != self._model_id:
            events = events.replace(b'"model":' + self._model_id, b'"model":' + self._model)
        if self.first_at is None and self.phase is Phase.NEXT_TOKEN:
            self.first_at = self.moved_at
        self._outgoing.add_text(events, self._tokens, self._pace)
        if self._pace is Pace.NOW:
            self._pace = Pace.SOON

    def _done(self) -> Result:
        used = self.meter.usage
        return Result(End.DONE, _USED % (used.prompt, used.completion, used.cached))


def model_of(event: bytes) -> bytes | None:
    """The model that an event names, as a JSON string with its quotes."""
    found = _MODEL.search(event)
    return found[1] if found else None


def another_model(event: bytes) -> Result:
    """How an attempt ends whose server has another model than it had."""
    said = (model_of(event) or b"nothing").decode(errors="replace")
    return Result(End.SETUP, failure(f"The server has another model now: {said}"))


@lru_cache(maxsize=64)
def _as_json(name: str) -> bytes:
    return json.dumps(name, ensure_ascii=False).encode()
