"""Tells the queue how an attempt ended."""

import asyncio
import logging
from collections.abc import Callable

from dispatcher.frames import FROM_SCRIPT, Frame, Kind
from dispatcher.job import Claim, Toll
from dispatcher.outbox import Outbox
from dispatcher.patience import Patience
from dispatcher.worker import WorkerSession
from worker_bridge.health import HealthMonitor
from worker_bridge.llama import Answer
from worker_bridge.run import End, Result, Run, failure
from worker_bridge.stop import Stop

log = logging.getLogger("llamaq.attempts")

_NOBODY = "nobody"  # release.lua: no live worker has what the job needs
_TWICE = "twice"  # release.lua: another try had the same refusal
_SLOT_LOOKS_S = (0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 3)
_ANSWERS = {End.DONE: Kind.DONE, End.REJECTED: Kind.REJECTED, End.TOO_LONG: Kind.REJECTED}
_TOLLS = {
    **dict.fromkeys((End.WORKER, End.UNSURE, End.OVERLOADED, End.STALLED), Toll.ATTEMPT),
    End.CRASHED: Toll.CRASH,
    End.SETUP: Toll.SETBACK,
}
_GIVEN_BACK = {
    Stop.STALLED: (
        End.STALLED,
        "The worker's llama-server stood still: it gave no {} for {:.0f} s.",
    ),
    Stop.DEAD: (
        End.CRASHED,
        "The worker's llama-server crashed while it had this request: it is gone.",
    ),
    Stop.CROWDED: (
        End.GIVEN_BACK,
        "The worker's llama-server is busy with the requests of others.",
    ),
    Stop.WEDGED: (End.GIVEN_BACK, "The worker's llama-server stands still."),
    Stop.HURRY: (End.GIVEN_BACK, "The worker was stopped."),
}

_ORPHANED = failure("The API was taken for dead while it waited for the answer.")


def stopped(run: Run, why: Stop, now: float) -> Result | None:
    """How a stopped attempt has ended; None where nobody is to go on with its job."""
    if why not in _GIVEN_BACK:
        return None
    end, message = _GIVEN_BACK[why]
    return Result(end, failure(message.format(run.phase, now - run.moved_at)))


class Settling:
    """Ends attempts in the queue: with their answers, or given back.

    `expected` is how many slots of the server are to be busy, `wish` how many jobs may be claimed
    for a slot that comes free, and with what patience: the calls return them. Every call may raise
    `Fenced`; an outage of Redis is waited out.
    """

    def __init__(
        self,
        session: WorkerSession,
        outbox: Outbox,
        monitor: HealthMonitor,
        expected: Callable[[], int],
        wish: Callable[[], tuple[int, Patience]],
    ) -> None:
        self._session = session
        self._outbox = outbox
        self._server = monitor.server
        self._monitor = monitor
        self._expected = expected
        self._wish = wish

    async def settle(self, run: Run, result: Result) -> list[Claim]:
        """Ends an attempt, or gives its job back."""
        frames = await self._outbox.take(run.claim)
        if result.end is End.TOO_LONG and await self._leave_to_larger(run):
            return []
        if kind := _ANSWERS.get(result.end):
            return await self._finish(run, kind, [*frames, run.last_frame(kind, result.payload)])
        if await self._release(run, result) == _TWICE:
            last = run.last_frame(Kind.REJECTED, result.refusal)
            return await self._finish(run, Kind.REJECTED, [*frames, last])
        return []

    async def drop(self, run: Run, why: Stop) -> list[Claim]:
        """Ends an attempt that nobody waits for, as far as is known, or that is somebody else's."""
        log.info("job=%s stopped: %s", run.claim.job, why)
        await self._outbox.take(run.claim)
        # Its slot counts as taken until the server has freed it: it would queue the next request.
        await self._slot_is_free()
        if why is Stop.FENCED:
            return []
        if why is Stop.ORPHANED:  # its API may be back, and then still waits
            await self._release(run, Result(End.GIVEN_BACK, _ORPHANED))
            return []
        # Not numbered: frames before it may have been dropped on purpose.
        last = Frame(Kind.CANCELLED, FROM_SCRIPT, payload=b"{}")
        return await self._finish(run, Kind.CANCELLED, [last])  # what it used is charged as served

    async def _finish(self, run: Run, kind: Kind, frames: list[Frame]) -> list[Claim]:
        """Ends an attempt for good; its slot gets the next job at once."""
        token, usage = run.claim.token, run.meter.usage
        taken = await self._session.finish(token, kind.value, frames, usage, *self._wish())
        return taken.claims

    async def _release(self, run: Run, result: Result) -> str:
        log.warning("job=%s given back: %s", run.claim.job, result.payload.decode())
        return await self._session.release(
            run.claim.token,
            toll=_TOLLS.get(result.end, Toll.NOTHING),
            error=result.payload,
            refusal=result.refusal,
        )

    async def _leave_to_larger(self, run: Run) -> bool:
        """Gives back a job whose prompt is too long for this server; False if for all there are."""
        context = self._monitor.props.context if self._monitor.props else 0
        verdict = await self._session.release(
            run.claim.token,
            toll=Toll.NOTHING,
            error=failure(f"The prompt is too long for a worker with {context} tokens of context."),
            needs=run.claim.needs.larger(context),
        )
        if verdict == _NOBODY:
            return False
        log.info("job=%s needs more than %s tokens of context", run.claim.job, context)
        return True

    async def _slot_is_free(self) -> None:
        for pause_s in _SLOT_LOOKS_S:
            await asyncio.sleep(pause_s)
            answer, busy = await self._server.busy_slots(5)
            if answer is not Answer.OK or busy <= self._expected():
                return
