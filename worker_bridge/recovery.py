"""Finds out whether a server that has failed jobs works."""

import asyncio
import time

from dispatcher.beat import until_beat_s
from worker_bridge.breaker import Mode
from worker_bridge.health import Health, ProbeResult
from worker_bridge.worker import Worker

_TICK_S = 0.5
_LOOK_S = 5.0


class Recovery:
    """Asks the server for one token when the breaker wants to know, so that no job is put at risk.

    `patience_s` is how long that may take.
    """

    def __init__(self, worker: Worker, patience_s: float) -> None:
        self._server = worker.server
        self._state = worker.state
        self._patience_s = patience_s

    async def run(self) -> None:
        """Asks for ever, when it is due."""
        while True:
            await asyncio.sleep(until_beat_s(_TICK_S))
            if self._is_due() and await self._has_room():
                await self._ask()

    def _is_due(self) -> bool:
        healthy = self._state.health is Health.HEALTHY
        return healthy and self._state.breaker.probe_is_due(time.monotonic())

    async def _ask(self) -> None:
        breaker = self._state.breaker
        mode, round_ = breaker.mode, breaker.round
        probe = await self._server.generate(self._patience_s)
        # One that works otherwise may be slow, for it is busy; only its own word condemns it.
        closed = mode is Mode.CLOSED
        answered = probe is not ProbeResult.FAILED if closed else probe is ProbeResult.OK
        self._state.probed(round_, answered=answered)

    async def _has_room(self) -> bool:
        """Whether a slot is idle: else the request would wait for long answers to end."""
        probe, busy = await self._server.busy_slots(_LOOK_S)
        return probe is not ProbeResult.OK or busy < self._state.props.slots
