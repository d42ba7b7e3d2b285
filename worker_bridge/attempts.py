"""The attempts that a bridge runs: starts them, stops them, and has their ends settled."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from dispatcher.errors import Fenced, RedisUnavailable
from dispatcher.job import Claim
from dispatcher.outbox import Outbox
from dispatcher.patience import Patience
from dispatcher.tasks import cancel
from dispatcher.worker import WorkerSession
from worker_bridge.appetite import Appetite
from worker_bridge.blame import doubt_about, outcome_of
from worker_bridge.breaker import Breaker, Mode, Outcome
from worker_bridge.health import Health, HealthMonitor
from worker_bridge.run import Result, Run
from worker_bridge.settings import BridgeSettings
from worker_bridge.settling import Settling, stopped
from worker_bridge.speed import Speedometer
from worker_bridge.stop import Phase, Stop, stall_limit_s

log = logging.getLogger("llamaq.attempts")

_RETRY_S = 0.2
_LATE_S = 1.0  # llama-server answers with its headers when a slot begins


@dataclass(frozen=True, slots=True)
class _Held:
    run: Run
    asking: asyncio.Task[Result | None]
    round: int  # of the breaker


class Attempts:
    """The attempts of one worker. `introduce` makes the `Run` of a claim.

    `speed` and `breaker` are what they have shown of the server, `others` how many of its slots
    somebody else uses.
    """

    def __init__(
        self,
        settings: BridgeSettings,
        session: WorkerSession,
        outbox: Outbox,
        monitor: HealthMonitor,
        appetite: Appetite,
        introduce: Callable[[Claim], Run],
    ) -> None:
        self.speed = Speedometer()
        self.breaker = Breaker()
        self.others = 0
        self._settings = settings
        self._session = session
        self._server = monitor.server
        self._monitor = monitor
        self._appetite = appetite
        self._introduce = introduce
        self._ends = Settling(session, outbox, monitor, self._expected, self._next)
        self._held: dict[str, _Held] = {}
        self._settling: set[asyncio.Task[None]] = set()
        self._stops: dict[str, Stop] = {}
        self._empty = asyncio.Event()
        self._empty.set()

    def __len__(self) -> int:
        return len(self._held)

    def moving(self) -> dict[str, int]:
        """Those that are not being stopped: their tokens, and what each has cost so far."""
        return {
            token: held.run.meter.usage.cost
            for token, held in self._held.items()
            if token not in self._stops
        }

    def start(self, claim: Claim) -> None:
        """Begins an attempt; one that runs already, after a repeated claim, goes on."""
        if claim.token in self._held:
            return
        run = self._introduce(claim)
        held = _Held(run, asyncio.create_task(self._ask(run)), self.breaker.begin())
        self._held[claim.token] = held
        self._settling.add(task := asyncio.create_task(self._attempt(held)))
        task.add_done_callback(self._settling.discard)
        self._empty.clear()
        self._monitor.at_work = True

    def stop(self, token: str, why: Stop) -> None:
        """Drops an attempt's request; does nothing for one that is not there."""
        if token in self._held and token not in self._stops:
            self._stops[token] = why
            self._held[token].asking.cancel()

    def stop_all(self, why: Stop) -> None:
        """Drops every request."""
        for token in list(self._held):
            self.stop(token, why)

    def stop_overdue(self) -> None:
        """Drops what makes no progress, what can make none, and what is past its deadline."""
        now = time.monotonic()
        for token, held in list(self._held.items()):
            if held.asking.done() or token in self._stops:
                continue
            run = held.run
            if run.moved_at < self._monitor.broke_at:
                self.stop(token, Stop.DEAD)
            elif self._is_stalled(run, now):
                self.stop(token, Stop.STALLED)
            elif self._waits_for_wedged(run):
                self.stop(token, Stop.WEDGED)
            elif now - run.started_at > run.claim.left_s:
                self.stop(token, Stop.DEADLINE)
            elif run.moved_at > run.started_at:
                self._monitor.moved(run.moved_at)

    def in_slots(self) -> set[str]:
        """Those that the server has begun; all, where it is too old a build to tell."""
        waiting = set(self._without_slot()) if self._tells_beginnings() else set()
        return self._held.keys() - waiting

    def waits_for_slot(self) -> bool:
        """Whether one has waited for a slot of the server for longer than it should."""
        return bool(self._late())

    def make_room(self) -> None:
        """Gives back the last of those that wait for a slot, as many as find none."""
        slots = self._monitor.props.slots if self._monitor.props else 0
        surplus = len(self._held) - len(self._stops) + self.others - slots
        for token in self._late()[::-1][: max(0, surplus)]:
            self.stop(token, Stop.CROWDED)

    async def wait_empty(self) -> None:
        """Returns when no attempt is left."""
        await self._empty.wait()

    async def abandon(self) -> None:
        """Forgets the attempts whose end Redis can't be told."""
        await cancel(self._settling)

    def _waits_for_wedged(self, run: Run) -> bool:
        has_begun = run.phase is not Phase.SLOT or not self._tells_beginnings()
        return self._monitor.health is Health.WEDGED and not has_begun

    def _tells_beginnings(self) -> bool:
        return self._monitor.props is not None and self._monitor.props.process != ""

    def _without_slot(self) -> list[str]:
        return [t for t, held in self._held.items() if held.run.phase is Phase.SLOT]

    def _late(self) -> list[str]:
        if not self._tells_beginnings():
            return []
        since = time.monotonic() - _LATE_S
        return [t for t in self._without_slot() if self._held[t].run.started_at < since]

    def _is_stalled(self, run: Run, now: float) -> bool:
        if now - run.moved_at <= stall_limit_s(run.phase, self._settings):
            return False
        asleep = self._monitor.props is not None and self._monitor.props.sleeping
        return not (asleep and run.phase is Phase.SLOT)  # it loads its model first

    async def _attempt(self, held: _Held) -> None:
        # Only the asking is ever cancelled: how it ended must be settled in any case.
        run, token = held.run, held.run.claim.token
        await asyncio.wait([held.asking])
        try:
            self._measure(run)
            why = self._stops.get(token, Stop.CANCELLED)
            result = None if held.asking.cancelled() else held.asking.result()
            result = result or stopped(run, why, time.monotonic())
            self._judge(held, result)
            if result is not None:
                claims = await self._ends.settle(run, result)
            else:
                claims = await self._ends.drop(run, why)
            for claim in claims:
                self.start(claim)
        except Fenced:
            log.info("job=%s is no longer ours", run.claim.job)
        except Exception:  # renew then tells that it is gone, and it is given back
            log.exception("job=%s ended in a way that nobody thought of", run.claim.job)
        finally:
            del self._held[token]
            self._stops.pop(token, None)
            if not self._held:
                self._empty.set()
                self._monitor.at_work = False

    def _judge(self, held: _Held, result: Result | None) -> None:
        """What the end of an attempt says of the server."""
        before = self.breaker.mode
        outcome = outcome_of(result.end) if result else Outcome.NOTHING
        self.breaker.ended(held.round, outcome, time.monotonic())
        doubt = doubt_about(result.end) if result else None
        if doubt is not None:
            self._monitor.doubt(doubt)
        if self.breaker.mode is not before:
            log.warning("server=%s breaker=%s", self._server.url, self.breaker.mode)
            self._monitor.changed.set()

    def _measure(self, run: Run) -> None:
        timings, props = run.meter.timings, self._monitor.props
        if timings is not None and props is not None:
            self.speed.add(props.process, timings)

    async def _ask(self, run: Run) -> Result | None:
        """How the attempt ended, or None when it was stopped before its request was read."""
        while True:
            try:
                body = await self._session.body(run.claim)
            except RedisUnavailable:
                await asyncio.sleep(_RETRY_S)
                continue
            if body is None or run.claim.token in self._stops:
                return None
            return await run.ask(self._server, body)

    def _next(self) -> tuple[int, Patience]:
        """What an attempt that ends may claim for its slot: a trial begins by another claim."""
        trusted = self.breaker.mode is Mode.CLOSED
        return self._appetite.most if trusted else 0, self._appetite.patience

    def _expected(self) -> int:
        return len(self._held) - len(self._stops) + self.others
