"""A warning that comes again and again is written at growing intervals."""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

_FIRST_S = 1.0
_NEW_AGAIN_S = 60.0
# What an error tells of, such as damaged data, lasts until somebody looks.
_LONGEST_S = {logging.WARNING: 60.0, logging.ERROR: 3600.0}
_MOST = 1000  # different messages that are remembered


@dataclass(slots=True)
class _Seen:
    written_at: float
    seen_at: float
    pause_s: float = _FIRST_S
    held_back: int = 0


class RepeatFilter(logging.Filter):
    """Lets each warning or error through, and the same one again after 1, 2, 4 … s.

    The pauses grow to a minute for warnings, and to an hour for errors.

    The next line counts what was held back. The same message of any logger is a repetition. A
    message that names another job or request is another one. A message that did not come for a
    minute is new again. `clock` tells the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._seen: OrderedDict[tuple[int, str, str], _Seen] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written; adds to it how often it was held back."""
        if record.levelno < logging.WARNING:
            return True
        now, message = self._clock(), record.getMessage()
        error = repr(record.exc_info[1]) if record.exc_info else ""
        seen = self._recall((record.levelno, message, error), now)
        if seen is None:
            return True
        seen.seen_at = now
        if now - seen.written_at < seen.pause_s:
            seen.held_back += 1
            return False
        if seen.held_back:
            since_s = now - seen.written_at
            often = "once" if seen.held_back == 1 else f"{seen.held_back} times"
            record.msg = f"{message} (and {often} more in the last {since_s:.0f} s)"
            record.args = ()
        seen.written_at, seen.held_back = now, 0
        seen.pause_s = min(_LONGEST_S.get(record.levelno, _NEW_AGAIN_S), 2 * seen.pause_s)
        return True

    def _recall(self, key: tuple[int, str, str], now: float) -> _Seen | None:
        """What is known of a message that is not new; a new one is remembered."""
        seen = self._seen.get(key)
        if seen is not None and now - seen.seen_at <= _NEW_AGAIN_S:
            self._seen.move_to_end(key)
            return seen
        self._seen[key] = _Seen(now, now)
        self._seen.move_to_end(key)
        if len(self._seen) > _MOST:
            self._seen.popitem(last=False)
        return None
