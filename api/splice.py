"""Makes one stream of all the attempts at a choice: its client sees one answer. Pure."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Generic

from api.seam import Seam, shown_of
from api.seen import Json, Memory, S
from api.sse import json_event
from dispatcher.continuation import Continuation
from dispatcher.cost import Shown
from dispatcher.job import Job


class ChunkSplice(ABC, Generic[S]):
    """Passes on what the attempts at a job say, as one stream (`api.endpoint.Splice`).

    The first attempt's chunks pass as they are. Those of later ones get its names, and counts of
    the whole answer.
    """

    def __init__(self, job: Job, memory: Memory[S]) -> None:
        self._job = job
        self._memory = memory
        self._prompt = b""
        self._seam: Seam | None = None
        self._is_seen = job.is_streamed  # else nobody sees it before it is complete
        self.is_spliced = False
        self.seen_tokens = 0

    @abstractmethod
    def _left(self, seen: S) -> Continuation | None:
        """What is left to do of the job; None if no text is. Raises `CannotContinue`."""

    @abstractmethod
    def _says_more(self, chunk: Json) -> bool:
        """Takes what was said out of a later attempt's chunk. Returns whether anything is left."""

    @abstractmethod
    def _missing(self, seen: S, seam: Seam) -> Sequence[Json]:
        """What the missing chunks say, once all of the text is there."""

    def note_prompt(self, event: bytes) -> None:
        """Takes an attempt's first event of progress."""
        self._prompt = self._prompt or event

    def show(self, events: bytes, tokens: int) -> bytes:
        """What the client gets to see of events that came after this attempt's first `tokens`."""
        if self._seam is not None:
            events = self._seam.spliced(events)
        if self._is_seen:
            self._memory.add(events, self.seen_tokens + tokens)
        return events

    def lose(self) -> Continuation | None:
        """The attempt is lost: what is left to do; None if nothing but `end`.

        Raises `CannotContinue`.
        """
        seen = self._memory.seen
        self._seam = seam = self._seam_after(seen) if seen.names else None
        self.is_spliced = self._seam is not None
        self.seen_tokens = seen.tokens if self._seam else 0
        rest = self._left(seen)
        return replace(rest, shown=seam.shown) if rest and seam else rest

    def shown(self, tokens: int) -> Shown | None:
        """See `Splice`."""
        return shown_of(tokens, self._prompt) if self._is_seen else None

    def end(self) -> bytes:
        """The events that are missing at the end of a stream whose text is all there."""
        seen = self._memory.seen
        missing = self._missing(seen, self._seam_after(seen))
        return b"".join([json_event({"choices": [], **seen.names, **chunk}) for chunk in missing])

    def _seam_after(self, seen: S) -> Seam:
        return Seam(seen, self._prompt, self._says_more)
