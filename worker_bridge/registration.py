"""Keeps a worker registered: tells Redis how it does, and heeds what Redis says of its attempts."""

import asyncio
import logging
import socket
import time
from contextlib import suppress

from dispatcher.beat import until_beat_s
from dispatcher.errors import Fenced, RedisUnavailable
from dispatcher.facts import WorkerFacts
from dispatcher.progress import progress_text
from dispatcher.protocol import api_is_strange
from worker_bridge.attempts import Attempts
from worker_bridge.joining import ServerTaken, join
from worker_bridge.lease import Lease
from worker_bridge.names import Aliases
from worker_bridge.pause_watch import PauseWatch
from worker_bridge.server_id import server_id
from worker_bridge.stop import Stop
from worker_bridge.worker import Worker
from worker_bridge.worker_history import WorkerHistory
from worker_bridge.worker_metrics import serving

log = logging.getLogger("llamaq.bridge")


class Registration:
    """The registration of one worker.

    It is renewed every `every_s`, and at once where the server's state has news. `replaced` is set
    when the server has another model than at first, or another form of it: it must not continue
    answers that were begun before. Each renewal renews the `lease`.
    """

    def __init__(
        self,
        worker: Worker,
        attempts: Attempts,
        aliases: Aliases,
        pause: PauseWatch,
        every_s: float,
        history: WorkerHistory,
    ) -> None:
        self.replaced = asyncio.Event()
        self._session = worker.session
        self._outbox = worker.outbox
        self._state = worker.state
        self._served = worker.served
        self._first = worker.state.props
        self._attempts = attempts
        self._aliases = aliases
        self._pause = pause
        self._every_s = every_s
        self._history = history
        self._strangers: set[str] = set()  # those that were told of
        self._progress = ""
        self.lease = Lease()

    @property
    def has_begun(self) -> bool:
        """Whether the worker has joined."""
        return self._session.identity[1] != ""

    async def begin(self) -> None:
        """Joins, as soon as that is possible. Raises `ServerTaken`."""
        await join(self._session, self._report)
        self.lease.renew()
        self._tell_of_strangers()

    async def keep(self) -> None:
        """Renews for ever. Raises `ServerTaken`."""
        with serving(self._attempts.metrics, self._state, self.lease):
            await self._keep()

    async def _keep(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(until_beat_s(self._every_s)):
                    await self._state.renew_soon.wait()
            self._state.renew_soon.clear()
            self._attempts.stop_overdue()
            self._notice_replacement()
            try:
                if self._state.fenced:
                    await self._begin_again()
                await self._renew()
            except Fenced:
                self._state.fence()
            except RedisUnavailable as error:
                log.warning("%s", error.message)

    async def end(self) -> None:
        """Says that the worker is gone. Raises what a renewal raises."""
        await self._session.leave(self.facts)

    async def _renew(self) -> None:
        moving = self._attempts.moving()
        self._history.look(moving.values(), time.monotonic())
        self._progress = progress_text(moving)
        costs = {attempt_id: used.cost for attempt_id, used in moving.items()}
        renewal = await self._session.renew(*self._report(), costs)
        self.lease.renew()
        self._state.heed_order(drained=renewal.drained)
        for attempt_id in renewal.foreign:
            self._attempts.stop(attempt_id, Stop.FENCED)
        for attempt_id in renewal.unwanted:
            self._attempts.stop(attempt_id, Stop.CANCELLED)
        for attempt_id in renewal.orphaned:
            self._attempts.stop(attempt_id, Stop.ORPHANED)
        self._tell_of_strangers()

    async def _begin_again(self) -> None:
        log.warning("fenced worker=%s: joining again", self._served.worker)
        self.lease.lost += 1
        self._attempts.stop_all(Stop.FENCED)
        self._outbox.clear()
        self._session.end_epoch()
        if rival := await self._session.register(*self._report()):
            raise ServerTaken(self._state.url, rival)
        self._state.fenced = False

    def _tell_of_strangers(self) -> None:
        now = self._session.strangers
        for api in now.keys() - self._strangers:
            log.error("%s", api_is_strange(api, now[api]))
        self._strangers = set(now)

    def _notice_replacement(self) -> None:
        if self._state.is_replaced and not self._state.draining:
            now = self._state.props
            what = f"{now.model_id} {now.fingerprint} {now.quantisation} {now.build}"
            log.warning("the server has another model now, or another form of it: %s", what)
            self.replaced.set()

    def _report(self) -> tuple[int, bool, WorkerFacts]:
        self._pause.look()
        self._state.paused_until_s = self._pause.until_s
        return self._state.slots, self._state.accepting, self.facts

    @property
    def facts(self) -> WorkerFacts:
        """What the worker says of itself."""
        state, props = self._state, self._state.props
        same = props if props.model_id == self._served.model_id else self._first
        prompt_tps, decode_tps = state.speed.of(props.process)
        return WorkerFacts(
            model=self._served.model,
            server=state.url,
            health=state.shown_health,
            reason=self._pause.reason or state.reason,
            breaker=state.breaker.mode.value,
            context=props.context,
            build=props.build,
            fingerprint=props.fingerprint,
            modalities=",".join(sorted(props.modalities)),
            endpoints=",".join(sorted(props.endpoints)),
            process=props.process,
            foreign=state.others,
            server_id=server_id(props, state.url),
            aliases=self._aliases.of(same.names),
            host=socket.gethostname(),
            address=self._session.link.own_address,
            quantisation=props.quantisation,
            size_bytes=props.size_bytes,
            parameters=props.parameters,
            trained_context=props.trained_context,
            prompt_tps=prompt_tps,
            decode_tps=decode_tps,
            invited=self._session.invited,
            place=self._served.place,
            paused_until_s=int(state.paused_until_s),
            tokens_per_s=self._history.tokens_per_s,
            progress=self._progress,
        )
