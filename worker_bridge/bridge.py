"""One worker: claims jobs while its server is healthy, keeps its lease, drains."""

import asyncio
import logging
import secrets
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

from redis.exceptions import ResponseError

from dispatcher.beat import until_beat_s
from dispatcher.commands import Commands
from dispatcher.errors import Fenced, RedisUnavailable
from dispatcher.facts import WorkerFacts
from dispatcher.figures import Figures
from dispatcher.history import EVERY_S, FAULTS, Recorder
from dispatcher.keys import Keys
from dispatcher.orders import place_of
from dispatcher.outbox import Outbox
from dispatcher.reaper import run_reaper
from dispatcher.settings import QueueSettings
from dispatcher.tasks import cancel, first_of, go_on
from dispatcher.worker import WorkerSession
from worker_bridge.attempt import Served
from worker_bridge.attempts import Attempts
from worker_bridge.calls import Calls
from worker_bridge.claim_policy import ClaimPolicy
from worker_bridge.foreign import ForeignLoad
from worker_bridge.health_monitor import HealthMonitor
from worker_bridge.joining import ServerTaken
from worker_bridge.llama import LlamaServer
from worker_bridge.names import Aliases
from worker_bridge.recovery import Recovery
from worker_bridge.registration import Registration
from worker_bridge.server_state import ServerState
from worker_bridge.settings import BridgeSettings
from worker_bridge.settling import Settling
from worker_bridge.shared import Clients
from worker_bridge.signals import Signals
from worker_bridge.stop import Stop
from worker_bridge.worker import Worker
from worker_bridge.worker_history import WorkerHistory

log = logging.getLogger("llamaq.bridge")


_GIVE_BACK_S = 3.0  # Redis may be away; once it is back, its reaper recovers the jobs


class Bridge:
    """One worker of one model, from its registration to its end. Its server's `state` is known."""

    def __init__(
        self,
        settings: BridgeSettings,
        queue: QueueSettings,
        server: LlamaServer,
        state: ServerState,
        monitor: HealthMonitor,
        clients: Clients,
    ) -> None:
        self._settings = settings
        self._lease_s = queue.lease_s
        self._state = state
        self._served = _served(settings, state, is_own=monitor.our_own)
        keys = Keys(self._served.model)
        self._commands = Commands(clients.shared.commands, keys)
        session = WorkerSession(
            self._served.worker, self._commands, queue.lease_s, queue.max_running
        )
        self._outbox = Outbox(self._commands, session, queue, state.fence, clients.shared.crowd)
        self._reaping = clients.shared.reaping[self._served.model]
        worker = Worker(self._served, server, state, monitor, session, self._outbox)
        self._policy = ClaimPolicy(self._served.worker, state)
        self._watch = clients.shared.watch(keys)
        metrics = clients.shared.worker_metrics(settings, self._served.model)
        self._attempts = Attempts(settings, worker, Settling(worker, self._policy), metrics)
        self._calls = Calls(
            clients.waiter, keys, session, self._attempts, self._policy, state.fence
        )
        self._recovery = Recovery(worker, settings.stall_first_token_s)
        self._foreign = ForeignLoad(worker, self._attempts)
        aliases = Aliases(self._served.model, only=settings.model is not None)
        pause, every_s = clients.shared.pause, queue.lease_s / 4
        self._history = WorkerHistory(session.used)
        self._registration = Registration(
            worker, self._attempts, aliases, pause, every_s, self._history
        )
        link, name = clients.shared.commands.link, self._served.worker
        self._recorder = Recorder(link, keys, "worker", name)

    @property
    def worker(self) -> str:
        """Its name in Redis."""
        return self._served.worker

    @property
    def has_joined(self) -> bool:
        """Whether its worker is registered, and so gets jobs."""
        return self._registration.has_begun

    @property
    def jobs(self) -> int:
        """How many it works on, those that need no slot included."""
        return len(self._attempts)

    @property
    def is_claiming(self) -> bool:
        """Whether jobs may be on their way to it."""
        return self._calls.is_claiming

    @property
    def is_at_rest(self) -> bool:
        """Whether it is paused, and has no job, nor is one on its way."""
        return self._state.paused_until_s > 0 and not self.jobs and not self.is_claiming

    @property
    def begun(self) -> int:
        """How many it has worked on."""
        return self._attempts.begun

    @property
    def slots(self) -> int:
        """How many of them need a slot, at most."""
        return self._state.slots

    @property
    def facts(self) -> WorkerFacts:
        """What its worker says of itself."""
        return self._registration.facts

    def give_way(self, *, to_another: bool) -> None:
        """Takes no jobs for now, as another model is wanted here; or takes jobs again."""
        self._state.give_way(to_another=to_another)

    async def serve(self, signals: Signals) -> None:
        """Serves until the server changes its model or a drain is ordered; then lets its jobs end.

        Those that still run after the drain time, or in a hurry, are given back. Raises
        `ServerTaken`.
        """
        worker, model = self._served.worker, self._served.model
        await first_of(signals.drain.wait(), self._registration.begin())
        if not self._registration.has_begun:
            return
        log.info("joined worker=%s model=%s slots=%s", worker, model, self._state.slots)
        works: dict[str, Callable[[], Awaitable[None]]] = {
            "outbox": self._outbox.run,
            "reaper": self._reap,
            "calls": self._calls.take,
            "look at the fleet": partial(self._watch.tell, self._policy.heed),
            "recovery": self._recovery.run,
            "look at the slots": self._foreign.run,
            "history": self._tell_history,
        }
        tasks = [asyncio.create_task(go_on(name, work)) for name, work in works.items()]
        registering = asyncio.create_task(
            go_on("registration", self._registration.keep, ended_by=ServerTaken)
        )
        try:
            replaced = self._registration.replaced.wait()
            await first_of(signals.drain.wait(), replaced, _outcome_of(registering))
            await self._drain(signals.hurry)
        finally:
            self._attempts.stop_all(Stop.HURRY)  # where something failed
            await cancel([*tasks, registering])
        await self._leave()  # now that nothing renews the lease

    async def _reap(self) -> None:
        async with self._reaping:
            await run_reaper(self._commands, self._lease_s)

    async def _tell_history(self) -> None:
        while True:
            await asyncio.sleep(until_beat_s(EVERY_S))
            await self._add_history()

    async def _add_history(self) -> None:
        try:
            await self._recorder.add(Figures(self._history.take()))
        except FAULTS as error:
            log.warning("The history of a minute is written later: %s", error)

    async def _drain(self, hurry: asyncio.Event) -> None:
        self._state.drain()
        log.info("draining worker=%s jobs=%s", self._served.worker, len(self._attempts))
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.drain_s):
                await first_of(self._attempts.wait_empty(), hurry.wait())
        self._attempts.stop_all(Stop.HURRY)
        with suppress(TimeoutError):
            async with asyncio.timeout(_GIVE_BACK_S):
                await self._attempts.wait_empty()
        await self._attempts.abandon()

    async def _leave(self) -> None:
        with suppress(RedisUnavailable, Fenced, ResponseError):
            await self._registration.end()
            await self._recorder.add(Figures(self._history.take()))
        log.info("left worker=%s", self._served.worker)


def _served(settings: BridgeSettings, state: ServerState, *, is_own: bool) -> Served:
    name, props = settings.worker_name or socket.gethostname(), state.begin_to_serve()
    return Served(
        worker=f"{name}-{secrets.token_hex(3)}",
        model=settings.model or props.model,
        model_id=props.model_id,
        fingerprint=props.fingerprint,
        place=place_of(name, "" if is_own else state.url),  # its own server has a new port
    )


async def _outcome_of(task: asyncio.Task[None]) -> None:
    """Waits for a task, without cancelling it where this is cancelled."""
    await asyncio.wait([task])
    task.result()
