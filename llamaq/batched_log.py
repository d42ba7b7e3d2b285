"""Writes log lines, and those of requests in batches: a busy API has thousands of them a second."""

import asyncio
import logging
import time
from typing import TextIO

LATEST_S = 0.05
_MOST = 500


class BatchedHandler(logging.StreamHandler[TextIO]):
    """Writes the lines that `add` takes at most `LATEST_S` late, and many at once.

    All lines keep their order: what is logged is written at once, behind those that wait. Where no
    event loop runs, nothing waits.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._lines = LineFormatter()
        self.setFormatter(self._lines)
        self._waiting: list[str] = []
        self._timed_by: asyncio.AbstractEventLoop | None = None

    def add(self, logger: str, message: str) -> None:
        """Takes a line of level INFO. A record for each of them would cost more than all else."""
        self.acquire()
        try:
            self._waiting.append(self._lines.line(time.time(), "INFO", logger, message))
            if len(self._waiting) >= _MOST or not self._is_timed():
                self._write()
        finally:
            self.release()

    def emit(self, record: logging.LogRecord) -> None:
        """Writes a line now. The caller holds the lock."""
        self._write()
        super().emit(record)

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
        waiting.append("")
        try:
            self.stream.write(self.terminator.join(waiting))
            self.stream.flush()
        except Exception:
            self.handleError(logging.makeLogRecord({"msg": waiting[0]}))


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

    def line(self, created_s: float, level: str, logger: str, message: str) -> str:
        """The line of a message of this Unix time."""
        milliseconds = int(created_s % 1 * 1000)
        return f"{self._second_of(created_s)},{milliseconds:03d} {level} {logger} {message}"

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        """The local time, to the millisecond."""
        return f"{self._second_of(record.created)},{int(record.msecs):03d}"

    def _second_of(self, created_s: float) -> str:
        """Most lines share their second with another."""
        second = int(created_s)
        if second != self._second:
            self._second = second
            self._shown = time.strftime(self.default_time_format, time.localtime(second))
        return self._shown
