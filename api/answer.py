"""One choice of a request: its job, and what has come of it so far."""

from dataclasses import dataclass

from api.endpoint import Splice
from dispatcher.continuation import Continuation
from dispatcher.cost import Shown
from dispatcher.frames import Frame
from dispatcher.job import Job
from dispatcher.reply import Reply


@dataclass(slots=True)
class Answer:
    """One choice, number `choice`.

    `tokens` are those that its client has got, None before the first. `lost_s` is when its worker
    was lost, in seconds since the request came.
    """

    choice: int
    job: Job
    reply: Reply
    splice: Splice
    tokens: int | None = None
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

    def count(self, tokens: int) -> None:
        """The attempt has made so many tokens by now."""
        self.tokens = self.splice.seen_tokens + tokens

    def shown(self) -> Shown | None:
        """What its client was shown; None where that is nothing."""
        return self.splice.shown(self.tokens) if self.tokens is not None else None
