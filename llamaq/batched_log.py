"""Writes log lines, and those of requests in batches: a busy API has thousands of them a second."""

import asyncio
import logging
import time
from typing import TextIO

BATCHED = "llamaq.access"
"""The logger whose lines are written in batches."""

LATEST_S = 0.05
_MOST = 500


class BatchedHandler(logging.StreamHandler[TextIO]):
    """Writes lines of requests at most `LATEST_S` late, and many at once.

    All lines keep their order: any other line is written at once, behind those that wait. Where no
    event loop runs, nothing waits.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._waiting: list[logging.LogRecord] = []
        self._timed_by: asyncio.AbstractEventLoop | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Writes a line, now or soon. The caller holds the lock."""
        if record.name != BATCHED:
            self._write()
            super().emit(record)
            return
        self._waiting.append(record)
        if len(self._waiting) >= _MOST or not self._is_timed():
            self._write()

    def flush(self) -> None:
        """Writes what waits."""
        self.acquire()
        try:
            self._write()
            super().flush()
        finally:
            self.release()

    def _is_timed(self) -> bool:
        """Whether a timer will write what waits; starts one where there is none."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return False
        if self._timed_by is not loop:
            self._timed_by = loop
            loop.call_later(LATEST_S, self._on_time)
        return True

    def _on_time(self) -> None:
        self._timed_by = None
        self.flush()

    def _write(self) -> None:
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        try:
            self.stream.write("".join([self.format(line) + self.terminator for line in waiting]))
            self.stream.flush()
        except Exception:
            self.handleError(waiting[0])


class LineFormatter(logging.Formatter):
    """The form of all lines: time, level, logger, message."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")
        self._second = -1
        self._shown = ""

    def format(self, record: logging.LogRecord) -> str:
        """The line, and a traceback where there is one."""
        if record.exc_info or record.exc_text or record.stack_info:
            return super().format(record)
        return f"{self.formatTime(record)} {record.levelname} {record.name} {record.getMessage()}"

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        """The local time, to the millisecond; most lines share their second with another."""
        second = int(record.created)
        if second != self._second:
            self._second = second
            self._shown = time.strftime(self.default_time_format, time.localtime(second))
        return f"{self._shown},{int(record.msecs):03d}"
