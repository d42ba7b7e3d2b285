"""A server that the bridge has started is killed when it is silent: it then starts again."""

import asyncio
import logging
import time

from worker_bridge.kept_process import KeptProcess
from worker_bridge.server_state import ServerState

log = logging.getLogger("llamaq.process")

_TICK_S = 0.5


async def revive(process: KeptProcess, state: ServerState, patience_s: float) -> None:
    """Kills the server whenever it has been silent for so long: nothing else helps it."""
    while True:
        await asyncio.sleep(_TICK_S)
        since = state.silent_since
        if since is not None and time.monotonic() - since > patience_s:
            log.warning("%s gave no answer for %.0f s: killing it", process.name, patience_s)
            process.kill()
            state.silent_since = None
