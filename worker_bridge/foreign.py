"""Slots of the server that others use: its operator's own requests, say. They are not offered.

They are looked for while jobs are at work, or others were seen: a server that has nothing to do is
left alone, so that it may fall asleep. The first job that comes then finds out.
"""

import asyncio
import time

from dispatcher.beat import until_beat_s
from worker_bridge.attempts import Attempts
from worker_bridge.health import Health, ProbeResult
from worker_bridge.worker import Worker

_TICK_S = 1.0
_EVERY_S = 4.5  # so at every fifth tick: /slots costs the engine something
_EVERY_WHILE_SHARED_S = 1.5  # at every second one
_AGAIN_S = 0.2  # a slot that one of ours is just leaving is none of others
_LOOK_S = 5.0


class ForeignLoad:
    """Looks at the server's slots now and then, and tells how many of them others use.

    Attempts that find no slot because of them are given back.
    """

    def __init__(self, worker: Worker, attempts: Attempts) -> None:
        self._server = worker.server
        self._state = worker.state
        self._attempts = attempts
        self._looked_at = time.monotonic()

    async def run(self) -> None:
        """Looks for ever."""
        while True:
            await asyncio.sleep(until_beat_s(_TICK_S))
            if self._is_due():
                await self._look()

    def _is_due(self) -> bool:
        if self._state.props.sleeping or self._state.health is not Health.HEALTHY:
            return False
        if self._attempts.waits_for_slot():
            return True
        pause_s = _EVERY_WHILE_SHARED_S if self._state.others else _EVERY_S
        late = time.monotonic() - self._looked_at >= pause_s
        return late and bool(self._state.others or self._state.held)

    async def _look(self) -> None:
        found = await self._count()
        if found:
            await asyncio.sleep(_AGAIN_S)
            found = min(found, await self._count())
        self._looked_at = time.monotonic()
        self._state.see_others(found)
        if found:
            self._attempts.make_room()

    async def _count(self) -> int:
        before = self._attempts.in_slots()
        probe, busy = await self._server.busy_slots(_LOOK_S)
        if probe is not ProbeResult.OK:
            return self._state.others if probe is ProbeResult.SILENT else 0
        self._state.moved(time.monotonic())
        found = max(0, busy - len(before | self._attempts.in_slots()))
        # Whose slots they are can't be told while one of ours may have several.
        return min(found, self._state.others) if self._attempts.hide_slots() else found
