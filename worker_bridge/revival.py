"""Kills a server that can't work any more, if the bridge has started it: then it starts again."""

import asyncio
import logging
import time

from worker_bridge.health import Health
from worker_bridge.health_monitor import HealthMonitor
from worker_bridge.kept_process import KeptProcess
from worker_bridge.rpc_peers import RpcPeers
from worker_bridge.server_state import ServerState

log = logging.getLogger("llamaq.process")

_TICK_S = 0.5


async def revive(process: KeptProcess, state: ServerState, patience_s: float) -> None:
    """Kills the server when it was silent for `patience_s`: nothing else helps."""
    while True:
        await asyncio.sleep(_TICK_S)
        since = state.silent_since
        if since is not None and not process.is_held and time.monotonic() - since > patience_s:
            log.warning("%s gave no answer for %.0f s: killing it", process.name, patience_s)
            process.kill()
            state.silent_since = None


async def heed_losses(
    peers: RpcPeers, state: ServerState, monitor: HealthMonitor, process: KeptProcess | None
) -> None:
    """Takes the server from work whenever it loses an RPC peer; `process` is its own, if ours.

    It aborts in the middle of its answers, or would at its next request. Nothing else helps it than
    a new process.
    """
    while True:
        await peers.lost.wait()
        peers.lost.clear()
        state.broke(time.monotonic())
        state.explain(peers.why)
        monitor.doubt(Health.INCOMPLETE)
        if process is not None:
            log.warning("%s has lost an RPC peer: killing it", process.name)
            process.kill()
