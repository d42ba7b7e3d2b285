"""How the processes log: one line per event on standard error."""

import logging
import sys


def set_up_logs(level: str) -> None:
    """Sends the logs of all parts to standard error; `level` is a name such as `info`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for chatty in ("httpx", "gguf"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
