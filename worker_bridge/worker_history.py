"""Counts what a worker does for the history of the last hour and week.

`worker_metrics.py` counts attempts that have ended. This one also counts the tokens of those that
still run, so it looks once a second.
"""

from collections import deque
from collections.abc import Iterable

from dispatcher.cost import Usage
from dispatcher.figures import Done

_SECONDS = 5.0
"""`tokens_per_s` is the mean of about this long."""


class WorkerHistory:
    """What was done since `take` was called, and how fast tokens come now.

    The session puts into `used` what each attempt had used when it ended.
    """

    def __init__(self, used: deque[Usage]) -> None:
        self.tokens_per_s = 0.0
        self._used = used
        self._requests = self._prompt = self._cached = self._busy_ms = 0
        # Tokens of answers since the start: of attempts that ended, of all, and what `take` told.
        self._of_ended = self._made = self._taken = 0
        self._looks: deque[tuple[float, int]] = deque()  # when, and how many tokens until then

    def look(self, held: Iterable[Usage], now_s: float) -> None:
        """Counts, once a second. `held`: what each running attempt has used. `now_s`: monotonic."""
        is_busy, running = bool(self._used), 0
        while self._used:
            used = self._used.popleft()
            self._requests += 1
            self._prompt += used.prompt
            self._cached += used.cached
            self._of_ended += used.completion
        for used in held:
            is_busy = True
            running += used.completion
        if is_busy and self._looks:
            self._busy_ms += int(min(now_s - self._looks[-1][0], _SECONDS) * 1000)
        # An attempt that is ending is in neither sum, or in both, for a moment.
        self._made = max(self._made, self._of_ended + running)
        looks = self._looks
        looks.append((now_s, self._made))
        while now_s - looks[0][0] > _SECONDS:
            looks.popleft()
        since_s, before = looks[0]
        per_s = (self._made - before) / (now_s - since_s) if now_s > since_s else 0.0
        self.tokens_per_s = float(f"{per_s:.3g}")

    def take(self) -> Done:
        """What was done since the last call."""
        completion, self._taken = self._made - self._taken, self._made
        done = Done(self._requests, 0, self._prompt, self._cached, completion, self._busy_ms)
        self._requests = self._prompt = self._cached = self._busy_ms = 0
        return done
