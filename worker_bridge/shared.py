"""What the workers of one process have in common, and how each of them reaches Redis."""

import asyncio
import socket
from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

from dispatcher.connection import LinkedRedis
from dispatcher.crowd import Crowd
from dispatcher.keys import Keys
from worker_bridge.fleet_watch import FleetWatch
from worker_bridge.metrics import BridgeMetrics
from worker_bridge.pause_watch import PauseWatch
from worker_bridge.settings import BridgeSettings
from worker_bridge.worker_metrics import WorkerMetrics


@dataclass(frozen=True, slots=True)
class Shared:
    """What the workers of one process share. The workers of one model take turns at reaping.

    `metrics` is None where nobody asks for them.
    """

    commands: LinkedRedis
    metrics: BridgeMetrics | None = None
    crowd: Crowd = field(default_factory=Crowd)
    reaping: dict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
    watches: dict[str, FleetWatch] = field(default_factory=dict)
    pause: PauseWatch = field(default_factory=PauseWatch)

    def count_servers(self, more: int) -> None:
        """Adds to the servers that are to have a worker here."""
        if self.metrics is not None:
            self.metrics.servers += more

    def worker_metrics(self, settings: BridgeSettings, model: str) -> WorkerMetrics | None:
        """Counts the attempts of a worker. None: nobody asks for metrics."""
        name = settings.worker_name or socket.gethostname()
        return self.metrics.worker(model, name) if self.metrics is not None else None

    def watch(self, keys: Keys) -> FleetWatch:
        """The watch over the fleet of a model: one for all its workers."""
        return self.watches.setdefault(keys.model, FleetWatch(self.commands.link, keys))


class Clients(NamedTuple):
    """How a worker reaches Redis. `waiter` blocks and is its own."""

    waiter: LinkedRedis
    shared: Shared
