"""The bridge: claims jobs while its server is healthy, keeps its lease, drains."""

import asyncio
import logging
import secrets
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

from redis.exceptions import ResponseError

from dispatcher.connection import LinkedRedis
from dispatcher.errors import Fenced, RedisUnavailable
from dispatcher.facts import WorkerFacts
from dispatcher.job import Claim
from dispatcher.keys import Keys
from dispatcher.outbox import Outbox, Refusal
from dispatcher.protocol import api_is_strange
from dispatcher.reaper import run_reaper
from dispatcher.scripts import Scripts
from dispatcher.settings import QueueSettings
from dispatcher.tasks import cancel, first_of, go_on
from dispatcher.worker import WorkerSession
from worker_bridge.appetite import Appetite
from worker_bridge.attempts import Attempts
from worker_bridge.calls import Calls
from worker_bridge.foreign import ForeignLoad
from worker_bridge.health import HealthMonitor
from worker_bridge.joining import ServerTaken, join
from worker_bridge.llama import LlamaServer, Props
from worker_bridge.names import Aliases
from worker_bridge.offer import Offer
from worker_bridge.recovery import Recovery
from worker_bridge.run import Run
from worker_bridge.server_id import server_id
from worker_bridge.settings import BridgeSettings
from worker_bridge.stop import Stop

log = logging.getLogger("llamaq.bridge")

_STOPS = {
    Refusal.FOREIGN: Stop.FENCED,
    Refusal.GONE: Stop.ORPHANED,
    Refusal.SLOW: Stop.CANCELLED,
    Refusal.FAILED: Stop.CANCELLED,
}
_GIVE_BACK_S = 3.0  # Redis may be away; once it is back, its reaper recovers the jobs


class Bridge:
    """One worker of one model, from its registration to its end.

    `clients` are three connections that nobody else uses: for commands, for blocking, for frames.
    """

    def __init__(
        self,
        settings: BridgeSettings,
        queue: QueueSettings,
        server: LlamaServer,
        monitor: HealthMonitor,
        props: Props,
        clients: tuple[LinkedRedis, LinkedRedis, LinkedRedis],
    ) -> None:
        commands, waiter, flusher = clients
        self._settings = settings
        self._lease_s = queue.lease_s
        self._server = server
        self._monitor = monitor
        self._props = props
        self.model = settings.model or props.model
        self._aliases = Aliases(self.model, only=settings.model is not None)
        name = settings.worker_name or socket.gethostname()
        self.worker = f"{name}-{secrets.token_hex(3)}"
        keys = Keys(self.model)
        self._scripts = Scripts(commands, keys)
        self._session = WorkerSession(self.worker, self._scripts, queue.lease_s, queue.max_running)
        self._outbox = Outbox(
            Scripts(flusher, keys),
            lambda: self._session.identity,
            queue,
            lambda token, refusal: self._attempts.stop(token, _STOPS[refusal]),
            self._fence,
        )
        self._appetite = Appetite(self._session, lambda: self._offer.most)
        self._attempts = Attempts(
            settings, self._session, self._outbox, monitor, self._appetite, self._introduce
        )
        self._offer = Offer(monitor, self._attempts)
        self._calls = Calls(
            waiter, keys, self._session, self._attempts, self._appetite, self._fence
        )
        self._recovery = Recovery(
            server, monitor, self._attempts.breaker, settings.stall_first_token_s
        )
        self._foreign = ForeignLoad(server, monitor, self._attempts)
        self._fenced = False
        self._strangers: set[str] = set()  # those that were told of
        self._replaced = asyncio.Event()

    async def serve(self, drain: asyncio.Event, hurry: asyncio.Event) -> None:
        """Serves until the server changes its model or `drain` is set; then lets its jobs end.

        Those that still run after the drain time, or when `hurry` is set, are given back.
        """
        await first_of(drain.wait(), join(self._session, self._state))
        if not self._session.identity[1]:
            return
        log.info("joined worker=%s model=%s slots=%s", self.worker, self.model, self._offer.slots)
        self._tell_of_strangers()
        works: dict[str, Callable[[], Awaitable[None]]] = {
            "outbox": self._outbox.run,
            "reaper": partial(run_reaper, self._scripts, self._lease_s),
            "calls": self._calls.take,
            "look at the fleet": self._appetite.watch_fleet,
            "recovery": self._recovery.run,
            "look at the slots": self._foreign.run,
        }
        tasks = [asyncio.create_task(go_on(name, work)) for name, work in works.items()]
        registering = asyncio.create_task(
            go_on("registration", self._keep_registered, ended_by=ServerTaken)
        )
        try:
            await first_of(drain.wait(), self._replaced.wait(), _outcome_of(registering))
            await self._drain(hurry)
        finally:
            await cancel([*tasks, registering])
        await self._leave()  # now that nothing renews the lease

    async def _keep_registered(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._lease_s / 4):
                    await self._monitor.changed.wait()
            self._monitor.changed.clear()
            self._attempts.stop_overdue()
            self._notice_replacement()
            try:
                if self._fenced:
                    await self._join_again()
                await self._renew()
            except Fenced:
                self._fence()
            except RedisUnavailable as error:
                log.warning("%s", error.message)

    def _tell_of_strangers(self) -> None:
        now = self._session.strangers
        for api in now.keys() - self._strangers:
            log.error("%s", api_is_strange(api, now[api]))
        self._strangers = set(now)

    async def _renew(self) -> None:
        renewal = await self._session.renew(*self._state(), self._attempts.moving())
        for token in renewal.foreign:
            self._attempts.stop(token, Stop.FENCED)
        for token in renewal.unwanted:
            self._attempts.stop(token, Stop.CANCELLED)
        for token in renewal.orphaned:
            self._attempts.stop(token, Stop.ORPHANED)
        self._tell_of_strangers()

    def _fence(self) -> None:
        """Redis says that we are not who we think: others may hold our jobs already."""
        self._attempts.stop_all(Stop.FENCED)
        self._fenced = True
        self._monitor.changed.set()

    async def _join_again(self) -> None:
        log.warning("fenced worker=%s: joining again", self.worker)
        self._outbox.clear()
        self._session.end_epoch()
        if rival := await self._session.register(*self._state()):
            raise ServerTaken(self._server.url, rival)
        self._fenced = False

    def _notice_replacement(self) -> None:
        now = self._monitor.props
        if now is not None and now.model_id != self._props.model_id and not self._offer.draining:
            log.warning("the server has another model now: %s", now.model_id)
            self._replaced.set()

    def _state(self) -> tuple[int, bool, WorkerFacts]:
        return self._offer.slots, self._offer.accepting, self._facts()

    def _facts(self) -> WorkerFacts:
        props = self._monitor.props or self._props
        is_same = props.model_id == self._props.model_id
        prompt_tps, decode_tps = self._attempts.speed.of(props.process)
        return WorkerFacts(
            model=self.model,
            server=self._server.url,
            health=self._offer.health,
            breaker=self._attempts.breaker.mode.value,
            context=props.context,
            build=props.build,
            fingerprint=props.fingerprint,
            modalities=",".join(sorted(props.modalities)),
            process=props.process,
            foreign=self._attempts.others,
            server_id=server_id(props, self._server.url),
            aliases=self._aliases.of((props if is_same else self._props).names),
            host=socket.gethostname(),
            prompt_tps=prompt_tps,
            decode_tps=decode_tps,
        )

    def _introduce(self, claim: Claim) -> Run:
        return Run(claim, self.worker, self._outbox, self._props, self.model)

    async def _drain(self, hurry: asyncio.Event) -> None:
        self._offer.draining = True
        self._monitor.changed.set()
        log.info("draining worker=%s jobs=%s", self.worker, len(self._attempts))
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
            await self._session.leave(self._facts())
        log.info("left worker=%s", self.worker)


async def _outcome_of(task: asyncio.Task[None]) -> None:
    """Waits for a task, without cancelling it where this is cancelled."""
    await asyncio.wait([task])
    task.result()
