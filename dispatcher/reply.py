"""What has come back for one job: follows one attempt at a time, and bounds what is unread."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Any

from dispatcher.errors import SlowClient
from dispatcher.frames import FROM_SCRIPT, Frame, Kind
from dispatcher.job import generation_of
from dispatcher.needs import ANYBODY, Needs

_read = json.JSONDecoder().decode
_MOST_NAME_CHARS = 256
_LATEST_MS = 2**53
ENDS = frozenset(Kind) - {Kind.STARTED, Kind.PROMPT, Kind.CHUNK, Kind.REVOKED, Kind.LOST}
"""The kinds of frame after which nothing more comes."""

_LOST = Frame(
    Kind.LOST,
    FROM_SCRIPT,
    payload=b'{"code":"worker_failed","message":"Redis has lost a part of the answer."}',
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a queued job stands: `position` 1 is next; `eta_s` until it starts, where known."""

    position: int
    eta_s: int | None


def eta_s(position: int, slots: int, mean_service_ms: float) -> int | None:
    """Seconds until a job at this position starts: slots come free at the mean rate, rounded up.

    >>> eta_s(3, slots=4, mean_service_ms=8000), eta_s(3, slots=0, mean_service_ms=8000)
    (6, None)
    """
    if not slots or not mean_service_ms:
        return None
    return ceil(position * mean_service_ms / slots / 1000)


class Reply:
    """The frames of one job, in order and without gaps, for one reader.

    `news` is called whenever there are more; several replies may share it. Only frames of the job's
    newest submission count, number `generation`. A `REVOKED` frame says that what came before it
    counts for nothing. A `LOST` frame says that it counts, but that no more comes of this
    submission. The job is then `lost` until it goes on under the next generation. From then on
    `needs` says what it needs of its worker, by the `fingerprint` of the lost attempt.

    With `streamed` a client sees the frames as they come: an attempt that Redis forgets is lost,
    else revoked. Past `max_bytes` unread the reply ends as failed with the code `slow_client`;
    `failed_here` says that its job may still run. `start` is what the attempt said of itself.
    `place` is where a queued job stands, a second old at most. `tenant_queued` is how many jobs its
    tenant had in the queue when it came, this one included.
    """

    def __init__(self, max_bytes: int, news: Callable[[], None], *, streamed: bool = False) -> None:
        self.ended = False
        self.failed_here = False
        self.generation = 1
        self.lost = False
        self.fingerprint = ""
        self.start: dict[str, Any] = {}
        self.needs: Needs = ANYBODY
        self.place: Place | None = None
        self.tenant_queued = 0
        self._max_bytes = max_bytes
        self._streamed = streamed
        self._frames: list[Frame] = []
        self._bytes = 0
        self._attempt_id: str | None = None
        self._past: set[str] = set()
        self._next_seq = 0
        self._news = news

    @property
    def waits(self) -> bool:
        """Whether the job is still queued, as far as is known here."""
        return self._attempt_id is None and not self.ended

    def take(self) -> list[Frame]:
        """Takes all the frames there are."""
        frames, self._frames, self._bytes = self._frames, [], 0
        return frames

    def put(self, attempt_id: str, frame: Frame) -> None:
        """Takes a frame of this attempt."""
        if (
            attempt_id == self._attempt_id
            and frame.seq == self._next_seq
            and frame.kind is Kind.CHUNK
        ):
            self._next_seq += 1
            self._push(frame)
        else:
            self._put(attempt_id, frame)

    def _put(self, attempt_id: str, frame: Frame) -> None:
        if self.ended or generation_of(attempt_id) != self.generation:
            return
        if attempt_id in self._past:
            return  # what was read before is read again
        if frame.kind in (Kind.REVOKED, Kind.LOST):
            self._part_with(attempt_id, frame)
        elif frame.seq == FROM_SCRIPT:
            self._push(frame)
        else:
            self._follow(attempt_id, frame)

    def _part_with(self, attempt_id: str, frame: Frame) -> None:
        if self._attempt_id not in (attempt_id, None):
            return
        if frame.kind is Kind.REVOKED:
            self._past.add(attempt_id)
            self._restart()
        else:
            self._lose(frame)

    def _restart(self) -> None:
        self._attempt_id, self._next_seq = None, 0
        self._frames, self._bytes = [], 0
        self._push(Frame(Kind.REVOKED, FROM_SCRIPT))

    def _lose(self, frame: Frame) -> None:
        self._await_next_generation()
        self.lost = True
        self._push(frame)

    def _await_next_generation(self) -> None:
        self.generation += 1
        self._attempt_id, self._next_seq = None, 0
        self._past.clear()

    def resumed(self, generation: int, needs: Needs) -> bool:
        """The job goes on under this generation; returns whether that is still the newest one."""
        if not self.lost or self.generation != generation:
            return False
        self.lost, self.needs = False, needs
        return True

    def forget(self) -> None:
        """Redis has lost the job, or what it said: it is to be submitted again."""
        has_begun = self._attempt_id is not None
        if has_begun and self._streamed:
            self._lose(_LOST)
            return
        self._await_next_generation()
        if has_begun:
            self._restart()

    def fail(self, code: str, message: str) -> None:
        """Ends the reply from this side."""
        self.failed_here = True
        payload = json.dumps({"code": code, "message": message}).encode()
        self._push(Frame(Kind.FAILED, FROM_SCRIPT, payload=payload))

    def _follow(self, attempt_id: str, frame: Frame) -> None:
        if self._attempt_id is None:
            self._attempt_id, self.place = attempt_id, None
        elif attempt_id != self._attempt_id and self._streamed:  # Redis has handed it out again
            self._lose(_LOST)
            return
        elif attempt_id != self._attempt_id:
            self._past.add(self._attempt_id)
            self._restart()
            self._attempt_id = attempt_id
        if frame.seq < self._next_seq:
            return
        if frame.seq > self._next_seq:  # Redis has forgotten frames, and not the attempt
            self._lose(_LOST)
            return
        self._next_seq += 1
        if frame.kind is Kind.STARTED:
            self.start = _read_start(frame.payload)
            self.fingerprint = self.start["build"]  # what frames call it
        self._push(frame)

    def _push(self, frame: Frame) -> None:
        if self.ended:
            return
        self._frames.append(frame)
        self._bytes += len(frame.payload)
        if frame.kind in ENDS:
            self.ended = True
        elif self._bytes > self._max_bytes:
            self.fail(SlowClient.code, "The client reads more slowly than the answer is produced.")
        self._news()


def _read_start(payload: bytes) -> dict[str, Any]:
    """What an attempt says of itself at first. Raises `ValueError` for anything else."""
    said = _read(payload.decode())
    if not isinstance(said, dict):
        raise ValueError("what an attempt says of itself is no object")
    worker, queue_ms, build = said.get("worker"), said.get("queue_ms"), said.get("build", "")
    is_named = isinstance(worker, str) and worker.isprintable() and len(worker) <= _MOST_NAME_CHARS
    if not isinstance(queue_ms, int) or abs(queue_ms) > _LATEST_MS:
        raise ValueError("what an attempt says of its time in the queue can't be true")
    if not (is_named and isinstance(build, str)):
        raise ValueError("what an attempt says of itself can't be true")
    # Negative where the clock of Redis was set back.
    return {"worker": worker, "queue_ms": max(0, queue_ms), "build": build}
