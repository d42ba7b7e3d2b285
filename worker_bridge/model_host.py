"""A bridge with more models than fit on its machine: loads the one that is waited for."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from dispatcher.beat import until_beat_s
from dispatcher.demand import begin_loading, end_loading
from dispatcher.errors import RedisUnavailable
from dispatcher.facts import LOADING, UNLOADED
from dispatcher.settings import QueueSettings
from dispatcher.tasks import first_of
from worker_bridge import standbys
from worker_bridge.launcher import DEFAULT_COMMAND
from worker_bridge.load_failures import LoadFailures
from worker_bridge.metrics import BridgeMetrics
from worker_bridge.model_choice import Patience, Step, Tenure, choose, quiet_s
from worker_bridge.model_load import ModelLoad
from worker_bridge.pause_watch import watch_pause
from worker_bridge.service import started
from worker_bridge.settings import BridgeSettings
from worker_bridge.shared import Shared
from worker_bridge.shelf import Shelved, read_shelf
from worker_bridge.shelf_watch import ShelfWatch
from worker_bridge.signals import Signals
from worker_bridge.standbys import Standbys

log = logging.getLogger("llamaq.bridge")

_SOON_S = 0.1  # while something is about to happen


async def run_host(
    settings: BridgeSettings,
    queue: QueueSettings,
    place: Path,
    command: Sequence[str],
    metrics: BridgeMetrics | None = None,
) -> None:
    """Serves the models that lie at `place`, one at a time, with the server that `command` starts.

    Without a command that is `DEFAULT_COMMAND`. It ends as `run_bridge` does. Raises `BadShelf` and
    `UnfitRedis`.
    """
    shelf = ShelfWatch(place, await asyncio.to_thread(read_shelf, place))
    async with started(queue, metrics) as (signals, commands):
        shared = Shared(commands, metrics, pause=watch_pause(settings, frees=True))
        host = ModelHost(settings, queue, shared, shelf, command or DEFAULT_COMMAND)
        await host.run(signals)


class ModelHost:
    """The models of one machine.

    It looks once a second who waits for them, and acts when a bound comes due.
    """

    def __init__(
        self,
        settings: BridgeSettings,
        queue: QueueSettings,
        shared: Shared,
        shelf: ShelfWatch,
        command: Sequence[str],
    ) -> None:
        self._settings = settings
        self._queue = queue
        self._shared = shared
        self._shelf = shelf
        self._command = command
        self._patience = Patience(settings.swap_after_s, settings.unload_after_s)
        self._parting_s = 0.0
        self._failures = LoadFailures()
        self._standbys = Standbys(settings, queue, shared, self._failures)
        self._load: ModelLoad | None = None

    async def run(self, signals: Signals) -> None:
        """Serves until it must drain, then lets the running jobs end."""
        names = ", ".join(sorted(self._shelf.found))
        log.info("models on demand from %s: %s", self._shelf.place, names)
        try:
            while not signals.drain.is_set():
                await self._tick_or_tell()
                await first_of(signals.drain.wait(), self._rest())
        finally:
            await self._end(signals)

    async def _tick_or_tell(self) -> None:
        try:
            await self._tick()
        except RedisUnavailable as error:
            log.warning("%s", error.message)
        except Exception:
            log.exception("The models could not be looked after; that goes on")
            await asyncio.sleep(standbys.LOOK_S)

    async def _tick(self) -> None:
        await self._shelf.look()
        await self._standbys.follow(self._shelf.found, self._load)
        await self._look()
        load = self._load
        if load is None:
            await self._fill()
        elif load.has_ended:
            await self._note_end(load)
        elif load.is_serving:
            await self._decide(load)
        elif not load.is_ending:
            await self._look_at_loading(load)

    async def _rest(self) -> None:
        load = self._load
        beat_s = until_beat_s(standbys.LOOK_S)
        if load is None:
            await asyncio.sleep(beat_s)
        elif load.is_serving and not load.gives_way:
            others = self._standbys.others(self._shelf.found, load)
            due_s = quiet_s(self._tenure(load), others, self._patience)
            await load.wait(min(beat_s, max(due_s, _SOON_S)))
        else:
            await load.wait(_SOON_S)

    async def _look(self, *, at_once: bool = False) -> None:
        await self._standbys.look(self._shelf.found, self._load, at_once=at_once)

    async def _fill(self, heir: str = "") -> None:
        """Nothing is loaded. The model for which another one made room comes first."""
        others = self._standbys.others(self._shelf.found, None)
        if heir in others and others[heir].jobs:
            others = {heir: others[heir]}
        step, name = choose(None, others, self._patience)
        if step is Step.LOAD:
            await self._begin(self._shelf.found[name])

    async def _decide(self, load: ModelLoad) -> None:
        step, name = self._choose(load)
        if step is Step.LOAD:  # is it wanted still?
            await self._look(at_once=True)
            step, name = self._choose(load)
        if step in (Step.LOAD, Step.UNLOAD):
            await self._part_with(load, name)
        elif load.gives_way != (step is Step.MAKE_ROOM):
            if step is Step.MAKE_ROOM:
                log.info("model=%s takes no more jobs: %s", load.name, self._why(load, name))
            load.give_way(to_another=step is Step.MAKE_ROOM)

    def _choose(self, load: ModelLoad) -> tuple[Step, str]:
        others = self._standbys.others(self._shelf.found, load)
        return choose(self._tenure(load), others, self._patience)

    def _tenure(self, load: ModelLoad) -> Tenure:
        demand = self._standbys.demands.of(load.name)
        is_there = self._shelf.found.get(load.name) == load.model
        wanted = is_there and not self._shared.pause.unloads
        return load.tenure(demand, wanted=wanted, parting_s=self._parting_s)

    def _why(self, load: ModelLoad, name: str) -> str:
        if name != load.name:
            return f"model={name} is wanted"
        if self._shared.pause.unloads:
            return self._shared.pause.reason
        is_there = self._shelf.found.get(name) == load.model
        return "nobody has asked for it lately" if is_there else "its file or preset has changed"

    async def _begin(self, model: Shelved) -> None:
        standby = self._standbys[model.name]
        if not await begin_loading(standby.commands, standby.worker):
            self._standbys.demands.forget(model.name)  # somebody else was faster
            return
        self._load = ModelLoad(model, self._settings, self._queue, self._shared, self._command)
        self._load.awaited_by = self._standbys.demands.of(model.name).jobs
        for warning in self._load.warnings:
            log.warning("%s", warning)
        log.info("loading model=%s", model.name)
        self._load.begin()
        standby.health = LOADING
        await standby.say()

    async def _look_at_loading(self, load: ModelLoad) -> None:
        standby = self._standbys[load.name]
        if load.bridge is not None:
            load.joined()
            standby.remember(load.bridge.facts)
            self._failures.forget(load.name)
            log.info("loaded model=%s in %.1f s", load.name, load.took_s)
            await end_loading(standby.commands, standby.worker)
            await standby.leave()
        elif why := load.why_failed():
            self._failures.note(load.model, why, load.last_words)
            load.end()
        else:
            load.awaited_by = self._standbys.demands.of(load.name).jobs
            await begin_loading(standby.commands, standby.worker)

    async def _part_with(self, load: ModelLoad, name: str) -> None:
        """First it is registered as one that could be loaded, so that it is never unknown."""
        standby = self._standbys[load.name]
        if load.bridge is not None:
            standby.remember(load.bridge.facts)
        standby.health = UNLOADED
        await standby.say()
        log.info("unloading model=%s: %s", load.name, self._why(load, name))
        load.heir = name
        load.end()

    async def _note_end(self, load: ModelLoad) -> None:
        """Its server is gone: the place is free."""
        if not load.is_ending:
            self._failures.note(load.model, load.why_failed(), load.last_words)
        elif load.parted_s is not None:
            self._parting_s = load.parted_s
        self._load = None
        standby = self._standbys[load.name]
        await end_loading(standby.commands, standby.worker)
        await self._look(at_once=True)
        await self._fill(load.heir)

    async def _end(self, signals: Signals) -> None:
        await self._standbys.leave()
        load = self._load
        if load is None:
            return
        with suppress(RedisUnavailable):
            standby = self._standbys[load.name]
            await end_loading(standby.commands, standby.worker)
        while not load.has_ended:
            load.end(signals)
            await load.wait(_SOON_S)
