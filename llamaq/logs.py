"""How the processes log: one line per event on standard error, repeated warnings more rarely."""

import logging
import sys

from llamaq.batched_log import BatchedHandler
from llamaq.repeats import RepeatFilter

LOG_LEVEL = "LLAMAQ_LOG_LEVEL"
"""The environment variable that names the level."""


def set_up_logs(level: str) -> None:
    """Sends the logs of all parts to standard error; `level` is a name such as `info`."""
    _leave_out_what_is_not_shown()
    handler = BatchedHandler(sys.stderr)
    handler.addFilter(RepeatFilter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for chatty in ("httpx", "gguf"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def _leave_out_what_is_not_shown() -> None:
    """Each line would look for its source, process and thread (see Python's "Optimization")."""
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
