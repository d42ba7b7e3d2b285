"""The bridge as a process: waits for its server, bridges it, heeds signals."""

import asyncio
import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

from dispatcher.connection import open_redis
from dispatcher.redis_check import check_at_start, check_when_back
from dispatcher.settings import QueueSettings, without_settings
from dispatcher.tasks import cancel, first_of, go_on, log_failure
from worker_bridge.bridge import Bridge, Clients
from worker_bridge.health import Health
from worker_bridge.health_monitor import HealthMonitor
from worker_bridge.impostor import look_behind
from worker_bridge.kept_process import KeptProcess
from worker_bridge.launcher import find_free_port, plan_launch
from worker_bridge.llama import LlamaServer
from worker_bridge.revival import revive
from worker_bridge.server_state import ServerState
from worker_bridge.settings import BridgeSettings
from worker_bridge.signals import Signals, heed_signals

log = logging.getLogger("llamaq.bridge")

_STOP_S = 5.0
_FIRST_LOOK_S = 1.0
_LONGEST_LOOK_S = 60.0


async def run_bridge(
    settings: BridgeSettings, queue: QueueSettings, command: Sequence[str] = ()
) -> None:
    """Bridges the server at `settings.server`, or one that `command` starts, until a signal.

    The first SIGTERM or SIGINT lets the running jobs end, the second gives them back at once. The
    server that was started is stopped last. `ORPHANED` counts as both signals. Raises `OSError`
    where the command can't be started, and `UnfitRedis`.
    """
    signals = heed_signals()
    await check_at_start(queue)
    key = settings.server_key.get_secret_value() if settings.server_key else None
    if not command:
        await serve(settings, queue, LlamaServer(settings.server, key), signals)
        return
    launch = plan_launch(command, find_free_port())
    for warning in launch.warnings:
        log.warning("%s", warning)
    environment = without_settings(os.environ) | ({"LLAMA_API_KEY": key} if key else {})
    process = KeptProcess("llama-server", launch.command, environment, stop_s=_STOP_S)
    running = asyncio.create_task(process.run())
    serving = asyncio.create_task(
        serve(settings, queue, LlamaServer(launch.url, key), signals, process)
    )
    try:
        await asyncio.wait({running, serving}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
        await serving
    finally:
        await cancel([serving])
        await process.stop()
        running.cancel()


async def serve(
    settings: BridgeSettings,
    queue: QueueSettings,
    server: LlamaServer,
    signals: Signals,
    process: KeptProcess | None = None,
) -> None:
    """Bridges `server`, whatever model it has and comes to have, until it is to drain.

    `process` is that of the server, where it is ours. See `Bridge.serve`.
    """
    url = queue.redis_url.get_secret_value()
    clients = open_redis(url), open_redis(url)
    checking = asyncio.create_task(check_when_back(queue))
    checking.add_done_callback(log_failure)
    try:
        while not signals.drain.is_set():
            await _serve_model(settings, queue, server, clients, signals, process)
    finally:
        await cancel([checking])
        for client in clients:
            await client.aclose()


async def _serve_model(
    settings: BridgeSettings,
    queue: QueueSettings,
    server: LlamaServer,
    clients: Clients,
    signals: Signals,
    process: KeptProcess | None,
) -> None:
    """Bridges `server` as long as it has the same model."""
    state = ServerState(server.url)
    monitor = HealthMonitor(server, state)
    watching = [asyncio.create_task(go_on("look at the server", monitor.run))]
    if process is not None:
        reviving = partial(revive, process, state, settings.stall_prompt_s)
        watching.append(asyncio.create_task(go_on("watch over the process", reviving)))
    try:
        await first_of(signals.drain.wait(), _healthy(state, server))
        if state.health is Health.HEALTHY and not signals.drain.is_set():
            await Bridge(settings, queue, server, state, monitor, clients).serve(signals)
    finally:
        await cancel(watching)


async def _healthy(state: ServerState, server: LlamaServer) -> None:
    """Returns once the server is fit for work; says meanwhile why it isn't."""
    said, pause_s = "", _FIRST_LOOK_S
    while not state.is_known or state.health is not Health.HEALTHY:
        state.renew_soon.clear()
        now = await _in_words(state.health, server)
        if now != said:
            said, pause_s = now, _FIRST_LOOK_S
            log.info("waiting for the llama-server at %s: %s", server.url, now)
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await state.renew_soon.wait()
        pause_s = min(_LONGEST_LOOK_S, 2 * pause_s)


async def _in_words(health: Health, server: LlamaServer) -> str:
    if health is not Health.MISCONFIGURED:
        return str(health)
    return f"{health}: {await look_behind(server)}"
