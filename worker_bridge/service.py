"""The bridge as a process: waits for its server, bridges it, heeds signals."""

import asyncio
import logging
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

from dispatcher.connection import open_redis
from dispatcher.redis_check import check_at_start, check_when_back
from dispatcher.settings import QueueSettings, without_settings
from dispatcher.tasks import cancel, first_of, go_on, log_failure
from worker_bridge.bridge import Bridge
from worker_bridge.health import Health, HealthMonitor
from worker_bridge.impostor import look_behind
from worker_bridge.kept_process import ORPHANED, KeptProcess
from worker_bridge.launcher import find_free_port, plan_launch
from worker_bridge.llama import LlamaServer, Props
from worker_bridge.revival import revive
from worker_bridge.settings import BridgeSettings

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
    drain, hurry = _signals()
    await check_at_start(queue)
    key = settings.server_key.get_secret_value() if settings.server_key else None
    if not command:
        await serve(settings, queue, LlamaServer(settings.server, key), drain, hurry)
        return
    launch = plan_launch(command, find_free_port())
    for warning in launch.warnings:
        log.warning("%s", warning)
    environment = without_settings(os.environ) | ({"LLAMA_API_KEY": key} if key else {})
    process = KeptProcess("llama-server", launch.command, environment, stop_s=_STOP_S)
    running = asyncio.create_task(process.run())
    serving = asyncio.create_task(
        serve(settings, queue, LlamaServer(launch.url, key), drain, hurry, process)
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
    drain: asyncio.Event,
    hurry: asyncio.Event,
    process: KeptProcess | None = None,
) -> None:
    """Bridges `server`, whatever model it has and comes to have, until `drain` is set.

    `process` is that of the server, where it is ours. See `Bridge.serve`. Closes `server`.
    """
    url = queue.redis_url.get_secret_value()
    clients = open_redis(url), open_redis(url, blocking=True), open_redis(url)
    monitor = HealthMonitor(server)
    works = go_on("look at the server", monitor.run), check_when_back(queue)
    watching = [asyncio.create_task(work) for work in works]
    for task in watching:
        task.add_done_callback(log_failure)
    if process is not None:
        reviving = partial(revive, process, monitor, settings.stall_prompt_s)
        watching.append(asyncio.create_task(go_on("watch over the process", reviving)))
    try:
        while not drain.is_set():
            await first_of(drain.wait(), _seen(monitor, server))
            if monitor.props is not None and not drain.is_set():
                bridge = Bridge(settings, queue, server, monitor, monitor.props, clients)
                await bridge.serve(drain, hurry)
    finally:
        await cancel(watching)
        await server.close()
        for client in clients:
            await client.aclose()


async def _seen(monitor: HealthMonitor, server: LlamaServer) -> Props | None:
    said, pause_s = "", _FIRST_LOOK_S
    while monitor.props is None or monitor.health is not Health.HEALTHY:
        monitor.changed.clear()
        state = await _state(monitor.health, server)
        if state != said:
            said, pause_s = state, _FIRST_LOOK_S
            log.info("waiting for the llama-server at %s: %s", server.url, state)
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await monitor.changed.wait()
        pause_s = min(_LONGEST_LOOK_S, 2 * pause_s)
    return monitor.props


async def _state(health: Health, server: LlamaServer) -> str:
    if health is not Health.MISCONFIGURED:
        return str(health)
    return f"{health}: {await look_behind(server)}"


def _signals() -> tuple[asyncio.Event, asyncio.Event]:
    drain, hurry = asyncio.Event(), asyncio.Event()

    def heed() -> None:
        (hurry if drain.is_set() else drain).set()

    def end_at_once() -> None:
        drain.set()
        hurry.set()

    handlers = {ORPHANED: end_at_once, signal.SIGTERM: heed, signal.SIGINT: heed}
    for number, handler in handlers.items():
        with suppress(NotImplementedError):  # Windows
            asyncio.get_running_loop().add_signal_handler(number, handler)
    return drain, hurry
