"""The attempts that a worker runs: starts them, stops them, and settles their ends."""

import asyncio
import logging
import time
from collections.abc import Iterable

from dispatcher.cost import Usage
from dispatcher.errors import Fenced
from dispatcher.job import Claim
from worker_bridge.attempt import Attempt
from worker_bridge.attempt_log import write
from worker_bridge.breaker import NO_ROUND
from worker_bridge.ends import CONSEQUENCES, Result, blamed
from worker_bridge.health import Health
from worker_bridge.settings import BridgeSettings
from worker_bridge.settling import Settling
from worker_bridge.stop import Phase, Stop, stall_limit_s
from worker_bridge.worker import Worker
from worker_bridge.worker_metrics import WorkerMetrics

log = logging.getLogger("llamaq.attempts")

_LATE_S = 1.0  # llama-server answers with its headers when a slot begins


class Attempts:
    """The attempts of one worker. It has `begun` that number; `metrics` counts their ends."""

    def __init__(
        self,
        settings: BridgeSettings,
        worker: Worker,
        settling: Settling,
        metrics: WorkerMetrics | None = None,
    ) -> None:
        self._settings = settings
        self._worker = worker
        self._state = worker.state
        self._settling = settling
        self.metrics = metrics
        self._held: dict[str, Attempt] = {}
        self.begun = 0
        self._empty = asyncio.Event()
        self._empty.set()

    def __len__(self) -> int:
        return len(self._held)

    def moving(self) -> dict[str, Usage]:
        """Those that were not stopped: their ids, and what each has used so far."""
        return {
            attempt_id: attempt.answer.meter.usage
            for attempt_id, attempt in self._held.items()
            if attempt.stopped_by is None
        }

    def start(self, claim: Claim) -> None:
        """Begins an attempt; one that runs already, after a repeated claim, goes on."""
        if claim.attempt_id in self._held:
            return
        worker = self._worker
        round_ = NO_ROUND if claim.needs.side else self._state.breaker.begin()
        attempt = Attempt(claim, worker.served, worker.outbox, self._ended, round_)
        self._held[claim.attempt_id] = attempt
        self.begun += 1
        if not attempt.is_side:
            self._state.held += 1
            self._state.asking += 1
        self._empty.clear()
        attempt.begin(worker.server, worker.session)

    def stop(self, attempt_id: str, why: Stop) -> None:
        """Drops an attempt's request; does nothing for one that is not there."""
        if attempt_id in self._held:
            self._held[attempt_id].stop(why)

    def stop_all(self, why: Stop) -> None:
        """Drops every request."""
        for attempt in list(self._held.values()):
            attempt.stop(why)

    def stop_overdue(self) -> None:
        """Drops what makes no progress, what can make none, and what is past its deadline."""
        now = time.monotonic()
        for attempt in list(self._held.values()):
            if attempt.has_ended:
                continue
            moved_at = attempt.answer.moved_at
            if why := self._overdue(attempt, now):
                attempt.stop(why)
            elif moved_at > attempt.started_at and not attempt.is_side:
                self._state.moved(moved_at)

    def in_slots(self) -> set[str]:
        """The attempts that the server has begun; all, where its build is too old to tell."""
        held = {attempt_id: a for attempt_id, a in self._held.items() if not a.is_side}
        if not self._state.tells_beginnings:
            return set(held)
        return {attempt_id for attempt_id, a in held.items() if a.answer.phase is not Phase.SLOT}

    def hide_slots(self) -> bool:
        """Whether one of them may have any number of slots."""
        attempts = self._held.values()
        return any(a.answer.phase is Phase.ANSWER and not a.is_side for a in attempts)

    def waits_for_slot(self) -> bool:
        """Whether one has waited for a slot of the server for longer than it should."""
        return bool(self._late())

    def make_room(self) -> None:
        """Gives back those that wait for a slot and find none, the last ones first."""
        surplus = self._state.expected_busy - self._state.props.slots
        for attempt in self._late()[::-1][: max(0, surplus)]:
            attempt.stop(Stop.CROWDED)

    async def wait_empty(self) -> None:
        """Returns when no attempt is left."""
        await self._empty.wait()

    async def abandon(self) -> None:
        """Forgets the attempts whose end Redis can't be told."""
        await self._settling.abandon()
        for attempt in list(self._held.values()):
            self._settled(attempt, [])

    def _overdue(self, attempt: Attempt, now: float) -> Stop | None:
        if attempt.answer.moved_at < self._state.broke_at:
            return Stop.DEAD
        if self._is_stalled(attempt, now):
            return Stop.STALLED
        if self._waits_for_wedged(attempt):
            return Stop.WEDGED
        return Stop.DEADLINE if now - attempt.started_at > attempt.claim.left_s else None

    def _waits_for_wedged(self, attempt: Attempt) -> bool:
        begun = attempt.answer.phase is not Phase.SLOT or not self._state.tells_beginnings
        return self._state.health is Health.WEDGED and not begun

    def _late(self) -> list[Attempt]:
        if not self._state.tells_beginnings:
            return []
        since = time.monotonic() - _LATE_S
        waiting = [a for a in self._held.values() if a.answer.phase is Phase.SLOT]
        return [attempt for attempt in waiting if attempt.started_at < since]

    def _is_stalled(self, attempt: Attempt, now: float) -> bool:
        phase, moved_at = attempt.answer.phase, attempt.answer.moved_at
        limit_s = stall_limit_s(phase, self._settings)
        if attempt.paused or now - moved_at <= limit_s:
            return False
        may_load = phase in (Phase.SLOT, Phase.ANSWER)
        if self._state.props.sleeping and may_load:  # its model first
            return False
        if attempt.is_side:  # the engine has no part in it
            return True
        # For a whole answer, and after one, the only sign of life is that the engine moves.
        hidden = phase is Phase.ANSWER or (phase is Phase.SLOT and self.hide_slots())
        return not hidden or now - max(moved_at, self._state.moved_at) > limit_s

    def _ended(self, attempt: Attempt, how: Result | Exception) -> None:
        if not attempt.is_side:
            self._state.asking -= 1
        if isinstance(how, Exception):
            self._fail(attempt, how)
            return
        attempt.result = how = blamed(how, self._state.health)
        try:
            self._learn(attempt, how)
            self._settling.settle(attempt, how, self._settled)
        except Exception as error:
            self._fail(attempt, error)

    def _fail(self, attempt: Attempt, error: Exception) -> None:
        """Ends one that can't be settled."""
        self._worker.outbox.close(attempt.outgoing, lambda _: None)
        self._settled(attempt, [], error)

    def _settled(
        self, attempt: Attempt, next_ones: Iterable[Claim], fault: BaseException | None = None
    ) -> None:
        if fault is not None and not isinstance(
            fault, Fenced
        ):  # renew then tells that it is gone, and it is given back
            what = "job=%s ended in a way that nobody thought of"
            log.error(what, attempt.claim.job, exc_info=fault)
        if self._held.pop(attempt.claim.attempt_id, None) is not None:
            if not attempt.is_side:
                self._state.held -= 1
            write(attempt, self._worker.served, fault)
            attempt.let_go()
        for claim in next_ones:
            self.start(claim)
        if not self._held:
            self._empty.set()

    def _learn(self, attempt: Attempt, result: Result) -> None:
        """What the end of an attempt says of the server."""
        if timings := attempt.answer.meter.timings:
            attempt.timings = timings
            self._state.speed.add(self._state.props.process, timings)
        if self.metrics is not None:
            took_s = time.monotonic() - attempt.started_at
            self.metrics.note(result.end, took_s, attempt.answer.meter.usage)
        follows = CONSEQUENCES[result.end]
        self._state.ended(attempt.round, follows.outcome)
        if follows.doubt is not None:
            self._worker.monitor.doubt(follows.doubt)
