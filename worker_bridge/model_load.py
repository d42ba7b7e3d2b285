"""One model on its way onto the machine, on it, and off it again."""

import asyncio
import os
import time
from collections.abc import Sequence

from dispatcher.demand import Demand
from dispatcher.settings import QueueSettings
from worker_bridge.bridge import Bridge, Shared
from worker_bridge.launcher import rpc_peers
from worker_bridge.model_choice import Tenure
from worker_bridge.service import OwnServer
from worker_bridge.settings import BridgeSettings
from worker_bridge.shelf import Shelved
from worker_bridge.signals import Signals


class ModelLoad:
    """A model's own server and its bridge, from `begin` until `has_ended`.

    It `is_serving` once its worker has joined.
    """

    def __init__(
        self,
        model: Shelved,
        settings: BridgeSettings,
        queue: QueueSettings,
        shared: Shared,
        command: Sequence[str],
    ) -> None:
        self.model = model
        self.is_ending = False
        words = (*command, *model.words)
        peers = rpc_peers(words, {**os.environ, **model.variables})
        own = settings.model_copy(update={"model": model.name, "rpc_peers": peers})
        self._own = OwnServer(own, words, model.variables, listens=True)
        self._queue = queue
        self._shared = shared
        self._patience_s = settings.load_timeout_s
        self._signals = Signals()
        self._bridge: Bridge | None = None
        self._serving: asyncio.Task[None] | None = None
        self._began_at = self._joined_at = self._busy_at = time.monotonic()
        self._gives_way_since: float | None = None
        self._owed: int | None = None

    @property
    def name(self) -> str:
        """The model's."""
        return self.model.name

    @property
    def bridge(self) -> Bridge | None:
        """The bridge, once its worker has joined."""
        return self._bridge if self._bridge is not None and self._bridge.has_joined else None

    @property
    def is_serving(self) -> bool:
        """Whether requests for the model get answers now."""
        return self._owed is not None and not self.is_ending

    @property
    def took_s(self) -> float:
        """For how long it was loaded, or is by now."""
        until = self._joined_at if self._owed is not None else time.monotonic()
        return until - self._began_at

    @property
    def has_ended(self) -> bool:
        """Whether nothing of it is left."""
        return self._serving is not None and self._serving.done()

    @property
    def warnings(self) -> tuple[str, ...]:
        """About its command line."""
        return self._own.warnings

    def begin(self) -> None:
        """Starts the server."""
        serving = self._own.serve(self._queue, self._shared, self._signals, self._note)
        self._serving = asyncio.create_task(serving)

    def _note(self, bridge: Bridge) -> None:
        self._bridge = bridge

    def joined(self, demand: Demand) -> None:
        """Its worker takes jobs from now on; so many have waited for that."""
        slots = self._bridge.slots if self._bridge is not None else 0
        self._owed = min(slots, demand.jobs)
        self._joined_at = self._busy_at = time.monotonic()

    def why_failed(self) -> str:
        """Why the model can't be loaded, in words; empty while it may be."""
        if self._serving is not None and self._serving.done() and not self._serving.cancelled():
            return str(self._serving.exception() or "its server has ended")
        if self._own.process.ended.is_set():
            return "its server has ended"
        is_late = time.monotonic() - self._began_at > self._patience_s
        return f"it was not ready within {self._patience_s:g} s" if is_late else ""

    @property
    def last_words(self) -> str:
        """The last line that its server wrote as an error."""
        return self._own.last_words.line

    def give_way(self, *, to_another: bool) -> None:
        """It takes no jobs for now, and those that run end; or it takes jobs again."""
        if not to_another:
            self._gives_way_since = None
        elif self._gives_way_since is None:
            self._gives_way_since = time.monotonic()
        if self._bridge is not None:
            self._bridge.give_way(to_another=to_another)

    @property
    def gives_way(self) -> bool:
        """Whether it takes no jobs, so that another model may come."""
        return self._gives_way_since is not None

    def tenure(self, demand: Demand, *, wanted: bool) -> Tenure:
        """How it does, for `choose`."""
        now, jobs = time.monotonic(), self._bridge.jobs if self._bridge is not None else 0
        if jobs or demand.jobs:
            self._busy_at = now
        since = self._gives_way_since
        return Tenure(
            self.name,
            run=jobs,
            wait=demand.jobs,
            owed=self._owed or 0,
            begun=self._bridge.begun if self._bridge is not None else 0,
            loaded_s=now - self._joined_at,
            idle_s=now - self._busy_at,
            giving_way_s=0 if since is None else now - since,
            service_s=demand.service_s,
            wanted=wanted,
        )

    def end(self, signals: Signals | None = None) -> None:
        """Lets its jobs end, then its server, or as the signals of the process say."""
        self.is_ending = True
        self._signals.drain.set()
        if signals is not None and signals.hurry.is_set():
            self._signals.hurry.set()

    async def wait(self, timeout_s: float) -> None:
        """Returns when it has ended, at the latest after so long."""
        if self._serving is not None:
            await asyncio.wait({self._serving}, timeout=timeout_s)
