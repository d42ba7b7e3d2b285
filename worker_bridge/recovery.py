"""Finds out whether a server that has failed jobs works."""

import asyncio
import logging
import time

from worker_bridge.breaker import Breaker, Mode
from worker_bridge.health import Health, HealthMonitor
from worker_bridge.llama import Answer, LlamaServer

log = logging.getLogger("llamaq.breaker")

_TICK_S = 0.5
_LOOK_S = 5.0


class Recovery:
    """Asks the server for one token when the breaker wants to know, so that no job is put at risk.

    `patience_s` is how long that may take.
    """

    def __init__(
        self, server: LlamaServer, monitor: HealthMonitor, breaker: Breaker, patience_s: float
    ) -> None:
        self._server = server
        self._monitor = monitor
        self._breaker = breaker
        self._patience_s = patience_s

    async def run(self) -> None:
        """Asks for ever, when it is due."""
        while True:
            await asyncio.sleep(_TICK_S)
            healthy = self._monitor.health is Health.HEALTHY
            if healthy and self._breaker.probe_is_due(time.monotonic()) and await self._has_room():
                await self._ask()

    async def _ask(self) -> None:
        before, round_ = self._breaker.mode, self._breaker.round
        answer = await self._server.generate(self._patience_s)
        # One that works otherwise may be slow, for it is busy; only its own word condemns it.
        closed = before is Mode.CLOSED
        answered = answer is not Answer.FAILED if closed else answer is Answer.OK
        self._breaker.probed(round_, time.monotonic(), answered=answered)
        if self._breaker.mode is not before:
            log.info("server=%s breaker=%s", self._server.url, self._breaker.mode)
            self._monitor.changed.set()

    async def _has_room(self) -> bool:
        """Whether a slot is idle: the request would else wait behind answers that take long."""
        answer, busy = await self._server.busy_slots(_LOOK_S)
        slots = self._monitor.props.slots if self._monitor.props else 0
        return answer is not Answer.OK or busy < slots
