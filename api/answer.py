"""One choice of a request: its job, and what has come of it so far."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from api.endpoint import Splice
from api.request_log import Record
from dispatcher.continuation import Continuation
from dispatcher.cost import Shown
from dispatcher.frames import Frame
from dispatcher.job import Job, Part
from dispatcher.reply import Reply


@dataclass(slots=True)
class Answer:
    """One choice, number `choice`.

    `tokens` are those that its client has got, None before the first. `prompt_tokens` are those of
    its prompt, some of which were `cached_tokens`, once it is complete. `lost_s` is when its worker
    was lost, in seconds since the request came.
    """

    choice: int
    job: Job
    reply: Reply
    splice: Splice
    tokens: int | None = None
    prompt_tokens: int = 0
    cached_tokens: int = 0
    lost_s: float | None = None

    def show(self, frame: Frame) -> bytes:
        """What the client gets to see of a chunk."""
        self.tokens = self.splice.seen_tokens + frame.tokens
        return self.splice.show(frame.payload, frame.tokens)

    def lose(self, at_s: float) -> Continuation | None:
        """Its worker is lost: what is left to do, or None. Raises `CannotContinue`."""
        self.lost_s = at_s
        rest = self.splice.lose()
        if self.splice.is_spliced:
            self.tokens = self.splice.seen_tokens
        return rest

    def end(self, said: Mapping[str, Any]) -> None:
        """It is complete, and the attempt has `said` what it used. The prompt of that includes what
        the client had seen before.
        """
        seen = self.splice.seen_tokens
        self.tokens = seen + said["completion_tokens"]
        self.prompt_tokens = max(0, said.get("prompt_tokens", 0) - seen)
        self.cached_tokens = min(self.prompt_tokens, said.get("cached_tokens", 0))

    def shown(self) -> Shown | None:
        """What its client was shown; None where that is nothing."""
        return self.splice.shown(self.tokens) if self.tokens is not None else None


def note_tokens(record: Record, answers: Iterable[Answer]) -> None:
    """Adds the tokens of all choices to the record. A prompt counts once for all its choices."""
    for answer in answers:
        if answer.tokens is None or answer.job.needs.side:
            continue
        record.completion_tokens = (record.completion_tokens or 0) + answer.tokens
        if answer.prompt_tokens and answer.job.part is not Part.CHOICE:
            record.prompt_tokens = (record.prompt_tokens or 0) + answer.prompt_tokens
            record.cached_tokens = (record.cached_tokens or 0) + answer.cached_tokens
