"""How the processes log: one line per event on standard error, repeated warnings more rarely."""

import logging
import sys

from llamaq.repeats import RepeatFilter


def set_up_logs(level: str) -> None:
    """Sends the logs of all parts to standard error; `level` is a name such as `info`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    handler.addFilter(RepeatFilter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for chatty in ("httpx", "gguf"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
