"""Keeps jobs off a server that fails them though it looks well. Pure: callers tell the time."""

from collections import deque
from enum import Enum, StrEnum, auto

_IN_A_ROW = 3
_WINDOW = 20
_FEWEST = 10  # results that a rate needs
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0
_DOUBT_PAUSE_S = 2.0


NO_ROUND = -1
"""Of an attempt whose end tells the breaker nothing."""


class Mode(StrEnum):
    """How much the server is trusted with."""

    CLOSED = "closed"  # all its slots
    OPEN = "open"  # nothing, until it has answered a request of the bridge's own
    HALF_OPEN = "half-open"  # one job at a time, until one was answered, or none came for a while


class Outcome(Enum):
    """What the end of an attempt tells of the server."""

    GOOD = auto()
    BAD = auto()
    CRASHED = auto()  # as BAD; whatever else it had begun ends with it
    DOUBTFUL = auto()  # its own fault or the job's: the bridge's own request tells
    NOTHING = auto()


class Breaker:
    """Opens after 3 bad results in a row, or where half of the last 10 to 20 are bad.

    Before it lets a job through again, the bridge asks the server for something itself: so a server
    that is still broken costs no job an attempt, or a crash, and one that has recovered comes back
    without any job. The pause before that grows, up to a minute, until a job has been answered.

    Where no job comes to try it, a second answer to the bridge closes it: then the first bad result
    opens it again. A doubtful result counts for nothing by itself. It makes the bridge ask, and a
    server that fails that as well is taken out at once.

    Times are seconds of a monotonic clock. Attempts, and the bridge's own requests, belong to
    rounds; each change of the mode begins another one, and what comes late from an older round is
    not listened to. `openings` counts how often it has opened.
    """

    def __init__(self) -> None:
        self.mode = Mode.CLOSED
        self.round = 0
        self.openings = 0
        self._trying = 0
        self._in_a_row = 0
        self._recent: deque[bool] = deque(maxlen=_WINDOW)
        self._pause_s = 0.0
        self._is_doubted = False
        self._probe_at = 0.0

    def room(self, slots: int) -> int:
        """How many more jobs may begin on a server with this number of slots."""
        if self.mode is Mode.HALF_OPEN:
            return min(slots, 1 - self._trying)
        return slots if self.mode is Mode.CLOSED else 0

    def begin(self) -> int:
        """An attempt begins; the result is the round that it belongs to."""
        self._trying += 1
        return self.round

    def ended(self, round_: int, outcome: Outcome, now: float) -> None:
        """An attempt of a round has ended."""
        if round_ != self.round:
            return
        self._trying -= 1
        if self.mode is Mode.CLOSED:
            self._count(outcome, now)
        elif self.mode is Mode.HALF_OPEN:
            self._judge_trial(outcome, now)

    def probe_is_due(self, now: float) -> bool:
        """Whether the bridge should ask the server for something itself."""
        if now < self._probe_at:
            return False
        if self.mode is Mode.CLOSED:
            return self._is_doubted
        return self.mode is Mode.OPEN or self._trying == 0

    def probed(self, round_: int, now: float, *, answered: bool) -> None:
        """The bridge's own request of a round was answered, or failed."""
        if round_ != self.round:
            return
        self._is_doubted = False
        if not answered:
            self._open(now)
        elif self.mode is Mode.CLOSED:
            self._probe_at = now + _DOUBT_PAUSE_S
        else:
            self._trust_more(now)

    def _trust_more(self, now: float) -> None:
        if self.mode is Mode.OPEN:
            self._enter(Mode.HALF_OPEN)
            self._probe_at = now + self._pause_s
        else:
            self._enter(Mode.CLOSED)
            self._recent.clear()
            self._in_a_row = _IN_A_ROW - 1

    def _count(self, outcome: Outcome, now: float) -> None:
        if outcome is Outcome.DOUBTFUL:
            self._is_doubted = True
        if outcome in (Outcome.DOUBTFUL, Outcome.NOTHING):
            return
        good = outcome is Outcome.GOOD
        self._in_a_row = 0 if good else self._in_a_row + 1
        if good:
            self._pause_s, self._is_doubted = 0.0, False
        self._recent.append(good)
        often = len(self._recent) >= _FEWEST and 2 * sum(self._recent) <= len(self._recent)
        if self._in_a_row >= _IN_A_ROW or (not good and often):
            self._open(now)
        elif outcome is Outcome.CRASHED:
            self._begin_round()

    def _judge_trial(self, outcome: Outcome, now: float) -> None:
        if outcome is Outcome.GOOD:
            self._enter(Mode.CLOSED)
            self._pause_s = 0.0
            self._in_a_row = 0
            self._recent.clear()
        elif outcome in (Outcome.BAD, Outcome.CRASHED):
            self._open(now)

    def _open(self, now: float) -> None:
        self.openings += 1
        self._enter(Mode.OPEN)
        self._pause_s = min(_LONGEST_PAUSE_S, 2 * self._pause_s or _FIRST_PAUSE_S)
        self._probe_at = now + self._pause_s

    def _enter(self, mode: Mode) -> None:
        self.mode = mode
        self._begin_round()

    def _begin_round(self) -> None:
        self.round += 1
        self._trying = 0
