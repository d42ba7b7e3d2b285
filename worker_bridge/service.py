"""The bridge as a process: waits for its servers, bridges them, heeds signals."""

import asyncio
import gc
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from functools import partial

from dispatcher.connection import (
    BLOCKED_SILENCE_S,
    LEASE_SILENCE_S,
    LinkedRedis,
    open_redis,
)
from dispatcher.redis_check import check_at_start, check_when_back
from dispatcher.settings import QueueSettings, without_settings
from dispatcher.tasks import cancel, first_of, go_on, log_failure
from worker_bridge.awaited_server import until_healthy
from worker_bridge.bridge import Bridge
from worker_bridge.health import Health
from worker_bridge.health_monitor import HealthMonitor
from worker_bridge.joining import ServerTaken
from worker_bridge.kept_process import KeptProcess
from worker_bridge.last_words import LastWords
from worker_bridge.launcher import find_free_port, plan_launch
from worker_bridge.llama import LlamaServer
from worker_bridge.metrics import BridgeMetrics
from worker_bridge.pause_watch import watch_pause
from worker_bridge.rest import resting
from worker_bridge.revival import heed_losses, revive
from worker_bridge.rpc_peers import RpcPeers, until_all_answer
from worker_bridge.server_state import ServerState
from worker_bridge.settings import BridgeSettings
from worker_bridge.shared import Clients, Shared
from worker_bridge.signals import Signals, heed_signals

log = logging.getLogger("llamaq.bridge")

_STOP_S = 5.0
_COLLECT_AFTER = (20_000, 20, 20)  # attempts leave no cycles
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0
_STEADY_S = 60.0  # a worker that ran longer begins again after the first pause

_ADVICE = (
    " before it served for long. Its own lines above say why. Often an option is wrong, the model "
    "is none, or memory is short: then give it fewer --n-gpu-layers or a smaller --ctx-size"
)

Tell = Callable[[Bridge], None]


def _tell_nobody(bridge: Bridge) -> None:
    """The default: nobody is told."""


async def run_bridge(
    settings: Sequence[BridgeSettings],
    queue: QueueSettings,
    command: Sequence[str] = (),
    metrics: BridgeMetrics | None = None,
) -> None:
    """Bridges the server of each of the settings until a signal, or one that `command` starts.

    The first SIGTERM or SIGINT lets the running jobs end, the second gives them back at once. The
    server that was started is stopped last. `ORPHANED` counts as both signals. Raises `OSError`
    where the command can't be started, and `UnfitRedis`. Raises `ServerTaken` for a server that is
    alone; of several, one that fails is tried again and stops no other.
    """
    async with started(queue, metrics) as (signals, commands):
        shared = Shared(commands, metrics, pause=watch_pause(settings[0], frees=bool(command)))
        if command:
            own = OwnServer(settings[0], command)
            for warning in own.warnings:
                log.warning("%s", warning)
            async with resting(own.process, shared.pause) as rest:
                await own.serve(queue, shared, signals, rest.note)
        elif len(settings) == 1:
            await serve(settings[0], queue, shared, signals)
        else:
            await serve_all(settings, queue, shared, signals)


@asynccontextmanager
async def started(
    queue: QueueSettings, metrics: BridgeMetrics | None
) -> AsyncIterator[tuple[Signals, LinkedRedis]]:
    """What every process of bridges begins with: it heeds signals, and has a link to Redis.

    Raises `UnfitRedis`.
    """
    signals = heed_signals()
    await check_at_start(queue)
    gc.collect()
    gc.freeze()  # what was loaded stays: the collector need not look at it again and again
    gc.set_threshold(*_COLLECT_AFTER)
    tasks = [asyncio.create_task(check_when_back(queue))]
    tasks[0].add_done_callback(log_failure)
    try:
        url = queue.redis_url.get_secret_value()
        async with aclosing(open_redis(url, silence_s=LEASE_SILENCE_S)) as commands:
            if metrics is not None:
                watch = metrics.begin(commands.link)
                tasks.append(asyncio.create_task(go_on("watch over the process", watch.run)))
            yield signals, commands
    finally:
        await cancel(tasks)


async def serve_all(
    settings: Sequence[BridgeSettings],
    queue: QueueSettings,
    shared: Shared,
    signals: Signals,
) -> None:
    """Bridges several servers, each as if it were alone, until all must drain."""
    async with asyncio.TaskGroup() as group:
        for each in settings:
            group.create_task(serve_for_good(each, queue, shared, signals))


async def serve(
    settings: BridgeSettings,
    queue: QueueSettings,
    shared: Shared,
    signals: Signals,
    process: KeptProcess | None = None,
    tell: Tell = _tell_nobody,
) -> None:
    """Bridges a server, whatever model it has and will have, until a drain is ordered.

    `process`: the server's, where the bridge started it. `tell` gets each bridge before it begins.
    See `Bridge.serve`.
    """
    url = queue.redis_url.get_secret_value()
    async with aclosing(open_redis(url, silence_s=BLOCKED_SILENCE_S)) as waiter:
        clients = Clients(waiter, shared)
        while not signals.drain.is_set():
            await _serve_model(settings, queue, clients, signals, process, tell)


async def serve_for_good(
    settings: BridgeSettings,
    queue: QueueSettings,
    shared: Shared,
    signals: Signals,
) -> None:
    """`serve`, for one of several servers: after a failure it begins again."""
    pause_s = _FIRST_PAUSE_S
    while not signals.drain.is_set():
        began_at = time.monotonic()
        try:
            await serve(settings, queue, shared, signals)
        except ServerTaken as error:
            log.error("%s", error)
        except Exception:
            log.exception("The worker of %s failed, and begins again", settings.server)
        steady = time.monotonic() - began_at > _STEADY_S
        pause_s = _FIRST_PAUSE_S if steady else min(_LONGEST_PAUSE_S, 2 * pause_s)
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await signals.drain.wait()


class OwnServer:
    """A server that `command` starts, and its bridge. `variables` are for its environment.

    `process` is that of the server. Its last line of errors is kept where `listens`.
    """

    def __init__(
        self,
        settings: BridgeSettings,
        command: Sequence[str],
        variables: Mapping[str, str] | None = None,
        *,
        listens: bool = False,
    ) -> None:
        launch = plan_launch(command, find_free_port())
        key = settings.server_key
        environment = without_settings(os.environ) | dict(variables or {})
        environment |= {"LLAMA_API_KEY": key.get_secret_value()} if key else {}
        self.warnings = launch.warnings
        self.last_words = LastWords()
        self.process = KeptProcess("llama-server", launch.command, environment, stop_s=_STOP_S)
        self.process.last_words = self.last_words if listens else None
        self.process.advice = _ADVICE
        self._settings = settings.model_copy(update={"server": launch.url})

    async def serve(
        self, queue: QueueSettings, shared: Shared, signals: Signals, tell: Tell = _tell_nobody
    ) -> None:
        """Starts the server and bridges it until a drain. Raises `OSError`. See `serve`."""
        running = asyncio.create_task(
            self.process.run(partial(until_all_answer, self._settings.peers))
        )
        serving = asyncio.create_task(
            serve(self._settings, queue, shared, signals, self.process, tell)
        )
        try:
            await asyncio.wait({running, serving}, return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                running.result()
            await serving
        finally:
            await cancel([serving])
            await self.process.stop()
            running.cancel()


async def _serve_model(
    settings: BridgeSettings,
    queue: QueueSettings,
    clients: Clients,
    signals: Signals,
    process: KeptProcess | None,
    tell: Tell,
) -> None:
    """Bridges a server as long as it has the same model."""
    key = settings.server_key.get_secret_value() if settings.server_key else None
    server = LlamaServer(settings.server, key)
    state = ServerState(server.url)
    peers = RpcPeers(settings.peers, restarts=process is not None)
    monitor = HealthMonitor(server, state, peers, our_own=process is not None)
    losses = partial(heed_losses, peers, state, monitor, process)
    watching = [
        asyncio.create_task(go_on("look at the server", monitor.run)),
        asyncio.create_task(go_on("heed lost RPC peers", losses)),
    ]
    if process is not None:
        reviving = partial(revive, process, state, settings.stall_prompt_s)
        watching.append(asyncio.create_task(go_on("watch over the process", reviving)))
    shared = clients.shared
    shared.count_servers(1)
    try:
        await first_of(signals.drain.wait(), until_healthy(state, server, process))
        if state.health is Health.HEALTHY and not signals.drain.is_set():
            bridge = Bridge(settings, queue, server, state, monitor, clients)
            tell(bridge)
            await bridge.serve(signals)
    finally:
        shared.count_servers(-1)
        await cancel(watching)
        peers.let_go()
