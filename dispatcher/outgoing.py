"""What one attempt has to say: its frames, from the first to the last, until they are sent."""

import asyncio
from collections.abc import Callable
from enum import Enum, auto
from typing import NamedTuple, Protocol

from dispatcher.frames import Frame, Kind, pack
from dispatcher.job import Claim, Want
from dispatcher.joined_text import joined
from dispatcher.spacing import Pace


class Refusal(Enum):
    """Why the frames of an attempt were not passed on."""

    FOREIGN = auto()  # it is no longer this worker's
    GONE = auto()  # its API was taken for dead
    SLOW = auto()  # its API doesn't keep up
    FAILED = auto()  # Redis can't pass them on


class Speaker(Protocol):
    """An attempt, as the outbox calls it."""

    def refused(self, refusal: Refusal) -> None:
        """Its frames were not passed on, and no others will be."""

    def pause(self) -> None:
        """Too much waits: the attempt is to say nothing more until `resume`."""

    def resume(self) -> None:
        """It may go on."""

    def read(self) -> None:
        """Reads what has come. Until `listen` the attempt reads only when asked, or at its end."""

    def listen(self) -> None:
        """The attempt reads by itself again."""


class Outgoing:
    """The frames of one attempt. `note` is called with the tokens and bytes of what is added.

    Neighbouring pieces of text are one frame, and for an answer in one piece also one text. Frames
    are numbered from 0. A frame on its way is never changed.
    """

    def __init__(
        self,
        claim: Claim,
        speaker: Speaker,
        note: Callable[["Outgoing", int, int, Pace], None],
    ) -> None:
        self.api = claim.api
        self.attempt_id = claim.attempt_id
        self.speaker = speaker
        self.bytes = 0  # that wait
        self.is_waiting = False  # for its turn, from its first frame on
        self.on_its_way: asyncio.Future[None] | None = None  # or was, where it is done
        self._streamed = Want.STREAM in claim.wants
        self._note = note
        self._seq = 0
        self._tokens = 0
        self._frames: list[Frame] = []
        self._text: list[bytes] = []
        self._shown = self._shown_is_told = False

    def add(self, kind: Kind, payload: bytes, pace: Pace) -> None:
        """Takes a frame."""
        self._end_text()
        self._number(kind, payload)
        self.bytes += len(payload)
        self._note(self, 0, len(payload), pace)

    def add_text(self, payload: bytes, tokens: int, pace: Pace) -> None:
        """Takes a piece of the answer, which has this many tokens with it."""
        more, self._tokens = tokens - self._tokens, tokens
        self._text.append(payload)
        self.bytes += len(payload)
        self._note(self, more if more > 0 else 1, len(payload), pace)

    def last(self, kind: Kind, payload: bytes) -> Frame:
        """The frame that ends the reply."""
        return Frame(kind, self._seq, self._tokens, payload)

    def take(self) -> list[Frame]:
        """Takes the frames that wait."""
        self._end_text()
        frames, self._frames, self.bytes = self._frames, [], 0
        return frames

    def pack(self) -> "Letter":
        """Takes the frames that wait, for an emit."""
        size, self.is_waiting = self.bytes, False
        frames = self.take()
        begins = self._streamed and self._shown and not self._shown_is_told
        return Letter(self, int(begins), pack(frames), size)

    def told(self) -> None:
        """The emit has gone through that shows its client the beginning of the answer."""
        self._shown_is_told = True

    def _end_text(self) -> None:
        if self._text:
            text, self._text = self._text, []
            payload = b"".join(text)
            self._number(Kind.CHUNK, payload if self._streamed else joined(payload))

    def _number(self, kind: Kind, payload: bytes) -> None:
        if kind is Kind.CHUNK:
            self._shown = True
        self._frames.append(Frame(kind, self._seq, self._tokens, payload))
        self._seq += 1


class Letter(NamedTuple):
    """Frames on their way. `begins` is 1 where they show a client the beginning of its answer.
    `size` are the bytes that no longer wait.
    """

    outgoing: Outgoing
    begins: int
    frames: bytes
    size: int
