"""What the parts of one worker share."""

from dataclasses import dataclass

from dispatcher.outbox import Outbox
from dispatcher.worker import WorkerSession
from worker_bridge.attempt import Served
from worker_bridge.health_monitor import HealthMonitor
from worker_bridge.llama import LlamaServer
from worker_bridge.server_state import ServerState


@dataclass(frozen=True, slots=True)
class Worker:
    """One llama-server as its bridge serves it, from when it is known to when its model changes."""

    served: Served
    server: LlamaServer
    state: ServerState
    monitor: HealthMonitor
    session: WorkerSession
    outbox: Outbox
