"""A llama-server that is not fit for work yet: waits for it, and says meanwhile why it isn't."""

import asyncio
import logging
from contextlib import suppress

from worker_bridge.health import Health
from worker_bridge.impostor import look_behind
from worker_bridge.llama import LlamaServer
from worker_bridge.server_state import ServerState

log = logging.getLogger("llamaq.bridge")

_FIRST_LOOK_S = 1.0
_LONGEST_LOOK_S = 60.0


async def until_healthy(state: ServerState, server: LlamaServer) -> None:
    """Returns once the server is fit for work; says meanwhile why it isn't."""
    said, pause_s = "", _FIRST_LOOK_S
    while not state.is_known or state.health is not Health.HEALTHY:
        state.renew_soon.clear()
        now = await _in_words(state, server)
        if now != said:
            said, pause_s = now, _FIRST_LOOK_S
            log.info("waiting for the llama-server at %s: %s", server.url, now)
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await state.renew_soon.wait()
        pause_s = min(_LONGEST_LOOK_S, 2 * pause_s)


async def _in_words(state: ServerState, server: LlamaServer) -> str:
    misconfigured = state.health is Health.MISCONFIGURED
    reason = await look_behind(server) if misconfigured else state.reason
    return f"{state.health}: {reason}" if reason else str(state.health)
