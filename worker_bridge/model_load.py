"""One model on its way onto the machine, on it, and off it again."""

import asyncio
import os
import time
from collections.abc import Sequence

from dispatcher.demand import Demand
from dispatcher.settings import QueueSettings
from worker_bridge.bridge import Bridge
from worker_bridge.launcher import rpc_peers
from worker_bridge.model_choice import Tenure
from worker_bridge.service import OwnServer
from worker_bridge.settings import BridgeSettings
from worker_bridge.shared import Shared
from worker_bridge.shelf import Shelved
from worker_bridge.signals import Signals

_ROUNDS = 2  # of its slots: as many of the jobs that waited for a load run after it


class ModelLoad:
    """A model's own server and its bridge, from `begin` until `has_ended`.

    `awaited_by`: how many jobs waited before it was loaded. It `is_serving` once its worker has
    joined. It `gives_way` while it takes no jobs, so that another model may come. That one is its
    `heir` when it ends.
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
        self.awaited_by = 0
        self.gives_way = False
        self.heir = ""
        self._ends_since: float | None = None
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
    def is_ending(self) -> bool:
        """Whether it was told to end."""
        return self._ends_since is not None

    @property
    def parted_s(self) -> float | None:
        """How long it has been ending; None where nobody told it to."""
        return None if self._ends_since is None else time.monotonic() - self._ends_since

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

    def joined(self) -> None:
        """Its worker takes jobs from now on, first of all those that it was `awaited_by`."""
        slots = self._bridge.slots if self._bridge is not None else 0
        self._owed = min(_ROUNDS * slots, self.awaited_by)
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
        self.gives_way = to_another
        if self._bridge is not None:
            self._bridge.give_way(to_another=to_another)

    def tenure(self, demand: Demand, *, wanted: bool, parting_s: float) -> Tenure:
        """How it does, for `choose`."""
        now, jobs = time.monotonic(), self._bridge.jobs if self._bridge is not None else 0
        if jobs or demand.jobs:
            self._busy_at = now
        return Tenure(
            self.name,
            run=jobs,
            wait=demand.jobs,
            is_claiming=self._bridge is not None and self._bridge.is_claiming,
            owed=self._owed or 0,
            begun=self._bridge.begun if self._bridge is not None else 0,
            loaded_s=now - self._joined_at,
            idle_s=now - self._busy_at,
            gives_way=self.gives_way,
            service_s=demand.service_s,
            parting_s=parting_s,
            wanted=wanted,
        )

    def end(self, signals: Signals | None = None) -> None:
        """Lets its jobs end, then its server, or as the signals of the process say."""
        if self._ends_since is None:
            self._ends_since = time.monotonic()
        self._signals.drain.set()
        if signals is not None and signals.hurry.is_set():
            self._signals.hurry.set()

    async def wait(self, timeout_s: float) -> None:
        """Returns when it has ended, or after `timeout_s`."""
        if self._serving is not None:
            await asyncio.wait({self._serving}, timeout=timeout_s)
