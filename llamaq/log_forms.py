"""The two forms of log lines: text for people, JSON for programs."""

import json
import logging
import time
from abc import abstractmethod
from collections.abc import Sequence
from datetime import UTC, datetime
from traceback import format_exception
from typing import Any

from dispatcher.log_lines import Lines, Value, as_text, fields_of, harmless

Taken = tuple[float, Lines, tuple[Value, ...]]
"""A line of fields: when it was taken (Unix time in seconds), its kind, and its values."""

_encode = json.JSONEncoder(separators=(",", ":"), default=str).encode


class Form(logging.Formatter):
    """How all lines look."""

    @abstractmethod
    def lines(self, taken: Sequence[Taken]) -> str:
        """Those of level INFO that are made of fields, each with its end."""


class TextForm(Form):
    """Time, level and logger in columns, then the message."""

    def __init__(self) -> None:
        super().__init__()
        self._second = -1
        self._shown = ""

    def format(self, record: logging.LogRecord) -> str:
        """The line, and a traceback where there is one. Further lines of a message are indented, so
        that only lines of a traceback look like these.
        """
        head = f"{self.formatTime(record)} {record.levelname:<7} {record.name:<15} "
        message = harmless(head + record.getMessage()).replace("\n", "\n    ")
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        more = [record.exc_text, record.stack_info and self.formatStack(record.stack_info)]
        return "\n".join([message, *[harmless(text) for text in more if text]])

    def lines(self, taken: Sequence[Taken]) -> str:
        """See `Form`."""
        shown = []
        for created_s, lines, values in taken:
            at = f"{self._second_of(created_s)},{int(created_s % 1 * 1000):03d}"
            shown.append(f"{at} INFO    {lines.log.name:<15} {as_text(lines.names, values)}\n")
        return "".join(shown)

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


class JsonForm(Form):
    """One JSON object a line, in ASCII."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, with the error where there is one."""
        said: dict[str, Any] = _head(record.created, record.levelname, record.name)
        said["message"] = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            said["error"] = _error(record.exc_info[1])
        if record.stack_info:
            said["stack"] = record.stack_info
        return _encode(said)

    def lines(self, taken: Sequence[Taken]) -> str:
        """See `Form`."""
        shown = []
        for created_s, lines, values in taken:
            head = _head(created_s, "INFO", lines.log.name)
            fields = fields_of(lines.names, values)
            shown.append(_encode({**head, "message": lines.kind, **fields}) + "\n")
        return "".join(shown)


def _head(created_s: float, level: str, logger: str) -> dict[str, str]:
    at = datetime.fromtimestamp(created_s, UTC).isoformat(timespec="milliseconds")
    return {"time": at.replace("+00:00", "Z"), "level": level.lower(), "logger": logger}


def _error(error: BaseException) -> dict[str, str]:
    traceback = "".join(format_exception(error))
    return {"type": type(error).__name__, "message": str(error), "traceback": traceback}
