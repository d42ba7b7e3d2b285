"""A llama-server that is not fit for work yet: waits for it, and says meanwhile why it isn't."""

import asyncio
import logging
from contextlib import suppress

from worker_bridge.health import Health
from worker_bridge.impostor import look_behind, why_away
from worker_bridge.llama import LlamaServer
from worker_bridge.server_state import ServerState

log = logging.getLogger("llamaq.bridge")

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0


async def until_healthy(state: ServerState, server: LlamaServer, *, is_ours: bool = False) -> None:
    """Returns once the server is fit for work; says again why it isn't where that changes.

    One that the bridge has started itself `is_ours`: until it listens there is nothing to say.
    """
    said, pause_s = "", _FIRST_PAUSE_S
    while not state.is_known or state.health is not Health.HEALTHY:
        state.renew_soon.clear()
        reason = await _reason(state, server, is_ours=is_ours)
        now = f"{state.health}: {reason}" if reason else str(state.health)
        if now != said:
            said, pause_s = now, _FIRST_PAUSE_S
            level = logging.WARNING if reason else logging.INFO
            log.log(level, "waiting for the llama-server at %s: %s", server.url, now)
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await state.renew_soon.wait()
        pause_s = min(_LONGEST_PAUSE_S, 2 * pause_s)


async def _reason(state: ServerState, server: LlamaServer, *, is_ours: bool) -> str:
    if state.health is Health.MISCONFIGURED:
        return await look_behind(server)
    if state.health is Health.DOWN and not is_ours:
        return await why_away(server)
    return state.reason
