"""The attempts that a bridge runs: starts them, stops them, and settles how each one ended."""

import asyncio
import logging
import time
from collections.abc import Callable
from enum import StrEnum

from dispatcher.errors import Fenced, RedisUnavailable
from dispatcher.frames import FROM_SCRIPT, Frame, Kind
from dispatcher.job import Claim
from dispatcher.outbox import Outbox
from dispatcher.tasks import cancel
from dispatcher.worker import WorkerSession
from worker_bridge.appetite import Appetite
from worker_bridge.health import Health, HealthMonitor
from worker_bridge.llama import Answer
from worker_bridge.run import End, Result, Run, failure
from worker_bridge.settings import BridgeSettings
from worker_bridge.speed import Speedometer

log = logging.getLogger("llamaq.attempts")

_RETRY_S = 0.2
_NOBODY = "nobody"  # release.lua: no live worker has what the job needs
_SLOT_LOOKS_S = (0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 3)
_BLAMES_SERVER = {
    End.WORKER: Health.SUSPECT,  # while it is looked at, another worker takes the job
    End.CRASHED: Health.DOWN,
    End.NOT_REACHED: Health.DOWN,
    End.LOADING: Health.LOADING,
    End.SETUP: Health.MISCONFIGURED,
}
_ANSWERS = {End.DONE: Kind.DONE, End.REJECTED: Kind.REJECTED, End.TOO_LONG: Kind.REJECTED}


class Stop(StrEnum):
    """Why an attempt is stopped before its end."""

    CANCELLED = "cancelled"  # nobody waits for it
    DEADLINE = "deadline"
    FENCED = "fenced"  # it is somebody else's
    STALLED = "stalled"
    HURRY = "hurry"  # the bridge has no time left


class Attempts:
    """The attempts of one worker. `introduce` makes the `Run` of a claim.

    `speed` is what they have shown of the server's.
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
        self._settings = settings
        self._session = session
        self._outbox = outbox
        self._server = monitor.server
        self._monitor = monitor
        self._appetite = appetite
        self._introduce = introduce
        self._runs: dict[str, tuple[Run, asyncio.Task[Result | None]]] = {}
        self._settling: set[asyncio.Task[None]] = set()
        self._stops: dict[str, Stop] = {}
        self._empty = asyncio.Event()
        self._empty.set()

    def __len__(self) -> int:
        return len(self._runs)

    def moving(self) -> dict[str, int]:
        """Those that are not being stopped: their tokens, and what each has cost so far."""
        return {
            token: run.meter.usage.cost
            for token, (run, _) in self._runs.items()
            if token not in self._stops
        }

    def start(self, claim: Claim) -> None:
        """Begins an attempt; one that runs already, after a repeated claim, goes on."""
        if claim.token in self._runs:
            return
        run = self._introduce(claim)
        asking = asyncio.create_task(self._ask(run))
        self._runs[claim.token] = run, asking
        self._settling.add(task := asyncio.create_task(self._attempt(run, asking)))
        task.add_done_callback(self._settling.discard)
        self._empty.clear()

    def stop(self, token: str, why: Stop) -> None:
        """Drops an attempt's request; does nothing for one that is not there."""
        if token in self._runs and token not in self._stops:
            self._stops[token] = why
            self._runs[token][1].cancel()

    def stop_all(self, why: Stop) -> None:
        """Drops every request."""
        for token in list(self._runs):
            self.stop(token, why)

    def stop_overdue(self) -> None:
        """Drops what makes no progress, and what is past its deadline."""
        now = time.monotonic()
        for token, (run, asking) in list(self._runs.items()):
            if asking.done() or token in self._stops:
                continue
            limit_s = (
                self._settings.stall_token_s if run.decoding else self._settings.stall_prompt_s
            )
            if now - run.moved_at > limit_s:
                self.stop(token, Stop.STALLED)
                self._monitor.doubt(Health.WEDGED)
            elif now - run.started_at > run.claim.left_s:
                self.stop(token, Stop.DEADLINE)
            elif run.moved_at > run.started_at:
                self._monitor.moved(run.moved_at)

    async def wait_empty(self) -> None:
        """Returns when no attempt is left."""
        await self._empty.wait()

    async def abandon(self) -> None:
        """Forgets the attempts whose end Redis can't be told."""
        await cancel(self._settling)

    async def _attempt(self, run: Run, asking: asyncio.Task[Result | None]) -> None:
        # Only the asking is ever cancelled: how it ended must be settled in any case.
        token = run.claim.token
        await asyncio.wait([asking])
        self._measure(run)
        try:
            result = None if asking.cancelled() else asking.result()
            if result is not None:
                await self._settle(run, result)
            else:
                await self._give_up(run, self._stops.get(token, Stop.CANCELLED))
        except Fenced:
            log.info("job=%s is no longer ours", run.claim.job)
        except Exception:
            log.exception("job=%s ended in a way that nobody thought of", run.claim.job)
        finally:
            del self._runs[token]
            self._stops.pop(token, None)
            if not self._runs:
                self._empty.set()

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

    async def _settle(self, run: Run, result: Result) -> None:
        token = run.claim.token
        if result.end in _BLAMES_SERVER:
            self._monitor.doubt(_BLAMES_SERVER[result.end])
        frames = await self._outbox.take(run.claim)
        if result.end is End.TOO_LONG and await self._leave_to_larger(run):
            return
        if kind := _ANSWERS.get(result.end):
            frames.append(run.last_frame(kind, result.payload))
            await self._finish(run, kind, frames)
            return
        log.warning("job=%s given back: %s", run.claim.job, result.payload.decode())
        crashed = result.end is End.CRASHED
        costs = crashed or result.end is End.WORKER
        await self._session.release(token, costs=costs, crashed=crashed, error=result.payload)

    async def _finish(self, run: Run, kind: Kind, frames: list[Frame]) -> None:
        """Ends an attempt for good; its slot gets the next job at once."""
        most, patience = self._appetite.most, self._appetite.patience
        taken = await self._session.finish(
            run.claim.token, kind.value, frames, run.meter.usage, most, patience
        )
        for claim in taken.claims:
            self.start(claim)

    async def _leave_to_larger(self, run: Run) -> bool:
        """Gives back a job whose prompt is too long for this server; False if for all there are."""
        context = self._monitor.props.context if self._monitor.props else 0
        verdict = await self._session.release(
            run.claim.token,
            costs=False,
            crashed=False,
            error=failure(f"The prompt is too long for a worker with {context} tokens of context."),
            needs=run.claim.needs.larger(context),
        )
        if verdict == _NOBODY:
            return False
        log.info("job=%s needs more than %s tokens of context", run.claim.job, context)
        return True

    async def _give_up(self, run: Run, why: Stop) -> None:
        """Settles an attempt whose request was dropped half-way."""
        log.info("job=%s stopped: %s", run.claim.job, why)
        await self._outbox.take(run.claim)
        if why in (Stop.STALLED, Stop.HURRY):
            error = failure(f"The worker gave the job up: {why}.")
            costs = why is Stop.STALLED
            token = run.claim.token
            await self._session.release(token, costs=costs, crashed=False, error=error)
            return
        # Its slot counts as taken until the server has freed it: it would queue the next request.
        await self._slot_is_free()
        if why is not Stop.FENCED:
            # Not numbered: frames before it may have been dropped on purpose.
            last = Frame(Kind.CANCELLED, FROM_SCRIPT, payload=b"{}")
            await self._finish(run, Kind.CANCELLED, [last])  # what it used is charged as served

    async def _slot_is_free(self) -> None:
        for pause_s in _SLOT_LOOKS_S:
            await asyncio.sleep(pause_s)
            answer, busy = await self._server.busy_slots(5)
            if answer is not Answer.OK or busy <= len(self._runs) - len(self._stops):
                return
