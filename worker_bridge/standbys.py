"""The models that a bridge could load: registers those that are not loaded, and asks who waits."""

import asyncio
import logging
import socket
import time
from collections.abc import Awaitable
from functools import partial

from redis.exceptions import ResponseError

from dispatcher.commands import Commands
from dispatcher.demand import Demand, read_demand
from dispatcher.facts import FAILED, LOADING, UNLOADED
from dispatcher.keys import Keys
from dispatcher.settings import QueueSettings
from worker_bridge.demands import Demands
from worker_bridge.load_failures import LoadFailures
from worker_bridge.model_load import ModelLoad
from worker_bridge.settings import BridgeSettings
from worker_bridge.shared import Shared
from worker_bridge.shelf import Shelf
from worker_bridge.standby import Standby

log = logging.getLogger("llamaq.bridge")

LOOK_S = 1.0


class Standbys:
    """The standbys of one machine, and the last seen `demands` for their models."""

    def __init__(
        self, settings: BridgeSettings, queue: QueueSettings, shared: Shared, failures: LoadFailures
    ) -> None:
        self.demands = Demands()
        self._name = settings.worker_name or socket.gethostname()
        self._lease_s = queue.lease_s
        self._commands = partial(Commands, shared.commands)
        self._failures = failures
        self._pause = shared.pause
        self._known: dict[str, Standby] = {}
        self._looked_at = float("-inf")

    def __getitem__(self, model: str) -> Standby:
        return self._known[model]

    async def follow(self, shelf: Shelf, load: ModelLoad | None) -> None:
        """Notices new models, and those that have gone, unless they are loaded."""
        for name in shelf.keys() - self._known.keys():
            commands = self._commands(Keys(name))
            self._known[name] = Standby(name, self._name, commands, self._lease_s)
        for name in self._known.keys() - shelf.keys():
            if load is None or load.name != name:
                log.info("model=%s is there no more", name)
                await self._known.pop(name).leave()
                self.demands.forget(name)

    async def look(self, shelf: Shelf, load: ModelLoad | None, *, at_once: bool = False) -> None:
        """Renews what is registered, and asks who waits: all in one write, once a second."""
        if not at_once and time.monotonic() - self._looked_at < LOOK_S / 2:
            return
        self._looked_at = time.monotonic()
        self._pause.look()
        asked = {name: self._ask(one, shelf, load) for name, one in self._known.items()}
        found = await asyncio.gather(*asked.values(), return_exceptions=True)
        for name, demand in zip(asked, found, strict=True):
            if isinstance(demand, Demand):
                self.demands.note(name, demand)
                continue
            self.demands.forget(name)
            if not isinstance(demand, ResponseError):
                raise demand
            log.error("model=%s can't be looked after: %r", name, demand)

    def _ask(self, standby: Standby, shelf: Shelf, load: ModelLoad | None) -> Awaitable[Demand]:
        standby.reason, standby.paused_until_s = self._pause.reason, int(self._pause.until_s)
        if load is None or load.name != standby.model or load.is_ending:
            rests = self._failures.rests(shelf.get(standby.model))
            standby.health = FAILED if rests else UNLOADED
            standby.reason = self._failures.why(standby.model) if rests else standby.reason
        elif load.bridge is None:
            standby.health = LOADING
        else:
            return read_demand(standby.commands, load.bridge.worker)
        return standby.look()

    def others(self, shelf: Shelf, load: ModelLoad | None) -> dict[str, Demand]:
        """The models that could be loaded here now, and the demand for each."""
        found = {}
        for name, standby in self._known.items():
            demand, model = self.demands.of(name), shelf.get(name)
            is_loaded = load is not None and load.name == name
            is_loading = demand.loader not in ("", standby.worker)
            if not (is_loaded or is_loading or model is None or self._failures.rests(model)):
                found[name] = demand
        return found

    async def leave(self) -> None:
        """All of them, as far as Redis hears it."""
        await asyncio.gather(*(standby.leave() for standby in self._known.values()))
