"""How the processes log: one line per event on standard error, repeated warnings more rarely."""

import logging
import os
import sys
import threading
from functools import partial
from types import TracebackType

from dispatcher.log_lines import KINDS, Value
from llamaq.batched_log import BatchedHandler
from llamaq.log_forms import Form, JsonForm, TextForm
from llamaq.repeats import RepeatFilter

LOG_LEVEL = "LLAMAQ_LOG_LEVEL"
"""The environment variable that names the level."""

LOG_FORMAT = "LLAMAQ_LOG_FORMAT"
"""The environment variable that names the form of the lines, one of `FORMS`."""

FORMS: dict[str, type[Form]] = {"text": TextForm, "json": JsonForm}

log = logging.getLogger("llamaq")


def set_up_logs(level: str) -> None:
    """Sends the logs of all parts to standard error; `level` is a name such as `info`.

    The environment tells the form.
    """
    _leave_out_what_is_not_shown()
    form = FORMS.get(os.environ.get(LOG_FORMAT, ""), TextForm)
    handler = BatchedHandler(sys.stderr, form())
    handler.addFilter(RepeatFilter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for chatty in ("httpx", "gguf"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    if form is JsonForm:  # nothing else is to come between the objects
        logging.captureWarnings(True)
        sys.excepthook = _log_crash
        threading.excepthook = lambda crash: _log_crash(
            crash.exc_type, crash.exc_value, crash.exc_traceback
        )


def batch_lines() -> None:
    """From now on lines of fields are written past logging, and many at once."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, BatchedHandler):
            for lines in KINDS:
                is_shown = lines.log.isEnabledFor(logging.INFO)
                lines.take = partial(handler.add, lines) if is_shown else _leave_out


def _leave_out(values: tuple[Value, ...]) -> None:
    """The level is too high for it."""


def _log_crash(
    kind: type[BaseException], error: BaseException | None, traceback: TracebackType | None
) -> None:
    if error is None or issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error or kind(), traceback)
    else:
        log.critical("crashed", exc_info=error)


def _leave_out_what_is_not_shown() -> None:
    """Each line would look for its source, process and thread (see Python's "Optimization")."""
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
