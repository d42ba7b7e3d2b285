"""Looks every few seconds whether models have come, gone or changed."""

import asyncio
import logging
import time
from pathlib import Path

from worker_bridge.shelf import BadShelf, Shelf, read_shelf

log = logging.getLogger("llamaq.bridge")

_EVERY_S = 3.0


class ShelfWatch:
    """The models at a place, `found` when it was looked at last."""

    def __init__(self, place: Path, found: Shelf) -> None:
        self.place = place
        self.found = found
        self._looked_at = time.monotonic()

    async def look(self) -> None:
        """Looks if it is time to. What was known stays where nothing can be read."""
        if time.monotonic() - self._looked_at < _EVERY_S:
            return
        try:
            self.found = await asyncio.to_thread(read_shelf, self.place)
        except BadShelf as error:
            log.warning("%s", error)
        self._looked_at = time.monotonic()
