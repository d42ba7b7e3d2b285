"""A llama-server that is not fit for work yet: waits for it, and says meanwhile why it isn't."""

import asyncio
import logging
import time
from contextlib import suppress

from worker_bridge.health import Health
from worker_bridge.impostor import look_behind, why_away
from worker_bridge.kept_process import KeptProcess
from worker_bridge.llama import LlamaServer
from worker_bridge.server_state import ServerState

log = logging.getLogger("llamaq.bridge")

_WAITING = "waiting for the llama-server at %s: %s"
_STILL_WAITING = _WAITING + " (%.0f s)"
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0
_TOLD_AGAIN_S = 8.0


async def until_healthy(
    state: ServerState, server: LlamaServer, process: KeptProcess | None = None
) -> None:
    """Returns once the server is fit for work; says again why it isn't where that changes.

    It also says how long a model has been loading or on its way. `process` is that of the server,
    where the bridge has started it.
    """
    said, pause_s, since_s = "", _FIRST_PAUSE_S, time.monotonic()
    while not state.is_known or state.health is not Health.HEALTHY:
        state.renew_soon.clear()
        reason = await _reason(state, server, process)
        now = _in_words(state, reason, process)
        if now != said:
            said, pause_s, since_s = now, _FIRST_PAUSE_S, time.monotonic()
            level = logging.WARNING if reason else logging.INFO
            log.log(level, _WAITING, server.url, now)
        elif pause_s >= _TOLD_AGAIN_S and _goes_on(state, process):
            log.info(_STILL_WAITING, server.url, now, time.monotonic() - since_s)
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await state.renew_soon.wait()
        pause_s = min(_LONGEST_PAUSE_S, 2 * pause_s)


def _in_words(state: ServerState, reason: str, process: KeptProcess | None) -> str:
    if process is not None and state.health is Health.DOWN and not reason:
        return "it does not listen yet"
    return f"{state.health}: {reason}" if reason else str(state.health)


def _goes_on(state: ServerState, process: KeptProcess | None) -> bool:
    """Whether a model is loaded or downloaded, as far as one can tell from outside."""
    is_ours = process is not None and not process.is_held
    return state.health is Health.LOADING or (state.health is Health.DOWN and is_ours)


async def _reason(state: ServerState, server: LlamaServer, process: KeptProcess | None) -> str:
    if state.health is Health.MISCONFIGURED:
        return await look_behind(server)
    if state.health is Health.DOWN and process is None:
        return await why_away(server)
    return state.reason
