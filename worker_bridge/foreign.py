"""Slots of the server that others use: its operator's own requests, say. They are not offered.

They are looked for while jobs are at work, or others were seen: a server that has nothing to do is
left alone, so that it may fall asleep. The first job that comes then finds out.
"""

import asyncio
import logging
import time

from worker_bridge.attempts import Attempts
from worker_bridge.health import Health, HealthMonitor
from worker_bridge.llama import Answer, LlamaServer

log = logging.getLogger("llamaq.foreign")

_TICK_S = 1.0
_EVERY_S = 5.0  # /slots costs the engine something
_EVERY_WHILE_SHARED_S = 2.0
_AGAIN_S = 0.2  # a slot that one of ours is just leaving is none of others
_LOOK_S = 5.0


class ForeignLoad:
    """Looks at the server's slots now and then, and sets how many `others` of `attempts` use.

    Attempts that find no slot because of them are given back.
    """

    def __init__(self, server: LlamaServer, monitor: HealthMonitor, attempts: Attempts) -> None:
        self._server = server
        self._monitor = monitor
        self._attempts = attempts
        self._looked_at = time.monotonic()

    async def run(self) -> None:
        """Looks for ever."""
        while True:
            await asyncio.sleep(_TICK_S)
            if self._is_due():
                await self._look()

    def _is_due(self) -> bool:
        props = self._monitor.props
        if props is None or props.sleeping or self._monitor.health is not Health.HEALTHY:
            return False
        if self._attempts.waits_for_slot():
            return True
        pause_s = _EVERY_WHILE_SHARED_S if self._attempts.others else _EVERY_S
        late = time.monotonic() - self._looked_at >= pause_s
        return late and bool(self._attempts.others or len(self._attempts))

    async def _look(self) -> None:
        found = await self._count()
        if found:
            await asyncio.sleep(_AGAIN_S)
            found = min(found, await self._count())
        self._looked_at = time.monotonic()
        if found != self._attempts.others:
            log.info("server=%s slots used by others: %s", self._server.url, found)
            self._attempts.others = found
            self._monitor.changed.set()
        if found:
            self._attempts.make_room()

    async def _count(self) -> int:
        before = self._attempts.in_slots()
        answer, busy = await self._server.busy_slots(_LOOK_S)
        if answer is not Answer.OK:
            return self._attempts.others if answer is Answer.SILENT else 0
        self._monitor.moved(time.monotonic())
        return max(0, busy - len(before | self._attempts.in_slots()))
