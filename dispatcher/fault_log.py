"""Logs what is wrong once, not every second: a bad datum stays bad until somebody looks."""

import logging
import time

_AGAIN_S = 60.0
_LONGEST_S = 3600.0
_MOST = 256  # texts that are remembered


class FaultLog:
    """Logs each text at once, and again while it lasts, after pauses that double up to an hour."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._told: dict[str, tuple[float, float, int]] = {}  # next time, pause, times unsaid

    def tell(self, what: str, error: BaseException | None = None) -> None:
        """Logs what happened, with the traceback of `error`, unless it was told not long ago."""
        text = f"{what}: {type(error).__name__}: {error}" if error is not None else what
        now = time.monotonic()
        again_at, pause_s, unsaid = self._told.pop(text, (now, _AGAIN_S / 2, 0))
        if now < again_at:
            self._told[text] = again_at, pause_s, unsaid + 1
            return
        pause_s = min(pause_s * 2, _LONGEST_S)
        self._told[text] = now + pause_s, pause_s, 0
        if len(self._told) > _MOST:
            del self._told[next(iter(self._told))]
        more = f" ({unsaid} times more since it was last told)" if unsaid else ""
        self._log.error("%s%s", text, more, exc_info=error)
