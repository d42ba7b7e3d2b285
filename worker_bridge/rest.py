"""A server that the bridge has started frees its memory while the machine's owner wants that."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dispatcher.beat import until_beat_s
from dispatcher.tasks import cancel, go_on
from worker_bridge.bridge import Bridge
from worker_bridge.kept_process import KeptProcess
from worker_bridge.pause_watch import PauseWatch

log = logging.getLogger("llamaq.bridge")

_LOOK_S = 1.0


class Rest:
    """Stops the server's process once the jobs of its bridge have ended, and starts it later."""

    def __init__(self, process: KeptProcess, pause: PauseWatch) -> None:
        self._process = process
        self._pause = pause
        self._bridge: Bridge | None = None

    def note(self, bridge: Bridge) -> None:
        """This is its bridge from now on."""
        self._bridge = bridge

    async def run(self) -> None:
        """Looks for ever."""
        while True:
            self._pause.look()
            if self._process.is_held != self._pause.unloads:
                await self._change()
            await asyncio.sleep(until_beat_s(_LOOK_S))

    async def _change(self) -> None:
        if self._process.is_held:
            log.info("%s starts again", self._process.name)
            self._process.go_on()
        elif self._bridge is None or self._bridge.is_at_rest:
            log.info("%s is stopped for now: %s", self._process.name, self._pause.reason)
            await self._process.hold()


@asynccontextmanager
async def resting(process: KeptProcess, pause: PauseWatch) -> AsyncIterator[Rest]:
    """Looks as long as this lasts."""
    rest = Rest(process, pause)
    looking = asyncio.create_task(go_on("heed pauses", rest.run))
    try:
        yield rest
    finally:
        await cancel([looking])
