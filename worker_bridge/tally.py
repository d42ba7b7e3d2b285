"""Counts what a worker does, from one look a second at what it has done and does now."""

from collections import deque
from collections.abc import Iterable

from dispatcher.cost import Usage
from dispatcher.figures import Done

_SECONDS = 5.0
"""Over about so long the tokens of a second are measured."""


class Tally:
    """What was done since `take` was called, and how fast tokens come now.

    `used` is where the session puts what each attempt has used that has ended.
    """

    def __init__(self, used: deque[Usage]) -> None:
        self.tokens_per_s = 0.0
        self._used = used
        self._done = Done()
        self._of_ended = self._made = 0  # tokens of answers: of those that ended, and of all
        self._looks: deque[tuple[float, int]] = deque()  # when, and how many tokens until then

    def look(self, held: Iterable[Usage], now_s: float) -> None:
        """Once a second: `held` is what each attempt has used that runs. Of the monotonic clock."""
        ended, running = self._take_used(), [each.completion for each in held]
        self._of_ended += ended.completion
        # One that ends is for a moment in neither sum, or in both.
        made = max(self._made, self._of_ended + sum(running))
        more, self._made = made - self._made, made
        since_s = now_s - self._looks[-1][0] if self._looks else 0.0
        is_busy = running or ended.requests
        busy_ms = int(min(since_s, _SECONDS) * 1000) if is_busy else 0
        counted = Done(ended.requests, 0, ended.prompt, ended.cached, more, busy_ms)
        self._done += counted
        self._measure(now_s)

    def take(self) -> Done:
        """What was done since the last call."""
        done, self._done = self._done, Done()
        return done

    def _take_used(self) -> Done:
        requests = prompt = cached = completion = 0
        while self._used:
            used = self._used.popleft()
            requests += 1
            prompt, cached = prompt + used.prompt, cached + used.cached
            completion += used.completion
        return Done(requests, 0, prompt, cached, completion)

    def _measure(self, now_s: float) -> None:
        self._looks.append((now_s, self._made))
        while now_s - self._looks[0][0] > _SECONDS:
            self._looks.popleft()
        since_s, before = self._looks[0]
        tokens, seconds = self._made - before, now_s - since_s
        self.tokens_per_s = float(f"{tokens / seconds:.3g}") if seconds > 0 else 0.0
