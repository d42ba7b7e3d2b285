"""Tells the queue how an attempt ended."""

import asyncio
import json
import logging
from collections.abc import Callable
from functools import partial
from typing import cast

from dispatcher.frames import FROM_SCRIPT, Frame, Kind
from dispatcher.job import Claim, Toll
from dispatcher.taken import Taken
from dispatcher.tasks import cancel
from worker_bridge.attempt import Attempt
from worker_bridge.attempt_log import ANSWERED, NOT_OURS, REQUEUED, reason_of
from worker_bridge.claim_policy import ClaimPolicy
from worker_bridge.ends import CONSEQUENCES, End, Result, failure
from worker_bridge.health import ProbeResult
from worker_bridge.worker import Worker

log = logging.getLogger("llamaq.attempts")

_NOBODY = "nobody"  # release.lua: no live worker has what the job needs
_TWICE = "twice"  # release.lua: another try had the same refusal
# What became of a job, where that is not the word of release.lua.
_BECAME = {"revoked": REQUEUED, "gone": NOT_OURS, _TWICE: Kind.REJECTED.value}
_SLOT_LOOKS_S = (0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 3)


Settled = Callable[[Attempt, list[Claim], BaseException | None], None]
"""Is told of an attempt that is settled: the jobs that were claimed instead, or what went wrong."""


class Settling:
    """Ends attempts in the queue, as `ends.py` says: with their answers, or given back.

    An outage of Redis is waited out. What goes wrong is told; it may be `Fenced`.
    """

    def __init__(self, worker: Worker, policy: ClaimPolicy) -> None:
        self._session = worker.session
        self._outbox = worker.outbox
        self._server = worker.server
        self._state = worker.state
        self._policy = policy
        self._tasks: set[asyncio.Task[Taken | None]] = set()
        self._is_over = False

    def settle(self, attempt: Attempt, result: Result, settled: Settled) -> None:
        """Ends an attempt, or gives its job back, and then calls `settled`."""
        close = partial(
            self._outbox.close, attempt.outgoing, partial(self._settle, attempt, result, settled)
        )
        if result.end is End.DONE:
            close()
        else:  # its first token leaves before: the job can go on behind what its client has seen
            asyncio.get_running_loop().call_soon(close)

    async def abandon(self) -> None:
        """Settles no more."""
        self._is_over = True
        await cancel(self._tasks)

    def _settle(
        self, attempt: Attempt, result: Result, settled: Settled, frames: list[Frame]
    ) -> None:
        if self._is_over:
            return
        try:
            ending = self._end(attempt, result, frames)
        except Exception as error:
            settled(attempt, [], error)
        else:
            ending.add_done_callback(partial(_tell, attempt, settled))

    def _end(
        self, attempt: Attempt, result: Result, frames: list[Frame]
    ) -> asyncio.Future[Taken | None]:
        if result.end is End.DONE:  # as most do: no task is needed
            attempt.became = ANSWERED
            last = attempt.last_frame(Kind.DONE, result.payload)
            return cast("asyncio.Future[Taken | None]", self._finish(attempt, [*frames, last]))
        task = asyncio.create_task(self._end_otherwise(attempt, result, frames))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _end_otherwise(
        self, attempt: Attempt, result: Result, frames: list[Frame]
    ) -> Taken | None:
        follows = CONSEQUENCES[result.end]
        if follows.slot_lags:
            frames = []  # nobody reads them
            if not attempt.is_side:
                await self._slot_is_free()
        if result.end is End.TOO_LONG and await self._leave_to_larger(attempt):
            return None
        if follows.answer is not None:
            attempt.became = follows.answer
            return await self._finish(attempt, [*frames, _last(attempt, follows.answer, result)])
        if not follows.returned:
            attempt.became = NOT_OURS
        elif await self._release(attempt, result, follows.toll) == _TWICE:
            last = attempt.last_frame(Kind.REJECTED, result.refusal)
            return await self._finish(attempt, [*frames, last])
        return None

    def _finish(self, attempt: Attempt, frames: list[Frame]) -> asyncio.Future[Taken]:
        """Ends an attempt for good; its slot gets the next job at once."""
        return self._session.finish(
            attempt.claim.attempt_id,
            frames[-1].kind,
            frames,
            attempt.answer.meter.usage,  # what a cancelled one used is charged as served
            self._policy.offer_after_an_end,
            self._policy.patience,
        )

    async def _release(self, attempt: Attempt, result: Result, toll: Toll) -> str:
        said = json.loads(result.payload)
        message = reason_of(said.get("message", ""), attempt.claim.body)
        log.warning("worker=%s gives a job back: %s", self._session.worker, message)
        verdict = await self._session.release(
            attempt.claim.attempt_id,
            toll=toll,
            error=result.payload,
            refusal=result.refusal,
            used=attempt.answer.meter.usage,
        )
        attempt.became = _BECAME.get(verdict, verdict)
        return verdict

    async def _leave_to_larger(self, attempt: Attempt) -> bool:
        """Gives back a job whose prompt is too long for this server; False if for all there are."""
        context = self._state.props.context
        verdict = await self._session.release(
            attempt.claim.attempt_id,
            toll=Toll.NOTHING,
            error=failure(f"The prompt is too long for a worker with {context} tokens of context."),
            needs=attempt.claim.needs.larger(context),
        )
        if verdict == _NOBODY:
            return False
        attempt.became = _BECAME.get(verdict, verdict)
        return True

    async def _slot_is_free(self) -> None:
        # It would queue the next request.
        for pause_s in _SLOT_LOOKS_S:
            await asyncio.sleep(pause_s)
            found, busy = await self._server.busy_slots(5)
            if found is not ProbeResult.OK or busy <= self._state.expected_busy:
                return


def _tell(attempt: Attempt, settled: Settled, done: asyncio.Future[Taken | None]) -> None:
    fault = None if done.cancelled() else done.exception()
    taken = None if done.cancelled() or fault else done.result()
    settled(attempt, taken.claims if taken else [], fault)


def _last(attempt: Attempt, kind: Kind, result: Result) -> Frame:
    if kind is Kind.CANCELLED:  # not numbered: frames before it may have been dropped on purpose
        return Frame(kind, FROM_SCRIPT, payload=result.payload)
    return attempt.last_frame(kind, result.payload)
