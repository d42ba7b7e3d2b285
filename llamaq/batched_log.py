"""Writes log lines, and those of requests in batches: a busy API has thousands of them a second."""

import asyncio
import logging
import time
from threading import Lock
from typing import TextIO

from dispatcher.log_lines import Lines, Value
from llamaq.log_forms import Form, Taken

LATEST_S = 0.05
_MOST = 500


class BatchedHandler(logging.StreamHandler[TextIO]):
    """Writes the lines that `add` takes at most `LATEST_S` late, and many at once.

    All lines keep their order: a logged line is written at once, after those that wait. Without an
    event loop nothing waits.
    """

    def __init__(self, stream: TextIO, form: Form) -> None:
        super().__init__(stream)
        self._form = form
        self.setFormatter(form)
        self._waiting: list[Taken] = []
        self._order = Lock()
        self._timed_by: asyncio.AbstractEventLoop | None = None

    def add(self, lines: Lines, values: tuple[Value, ...]) -> None:
        """Takes a line of level INFO. A log record for each would cost more than all else."""
        with self._order:
            self._waiting.append((time.time(), lines, values))
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        if loop is None or len(self._waiting) >= _MOST:
            self.flush()
        elif self._timed_by is not loop:
            self._timed_by = loop
            loop.call_later(LATEST_S, self._on_time)

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

    def _on_time(self) -> None:
        self._timed_by = None
        self.acquire()
        try:
            self._write()
        finally:
            self.release()

    def _write(self) -> None:
        with self._order:
            waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        try:
            self.stream.write(self._form.lines(waiting))
            self.stream.flush()
        except Exception:
            self.handleError(logging.makeLogRecord({"msg": waiting[0][1].kind}))
