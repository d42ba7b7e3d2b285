"""The last line that a program wrote before its end: most often the reason."""

import asyncio
import sys
from contextlib import suppress

_PIECE_BYTES = 65_536
_KEPT_BYTES = 2000


class LastWords:
    """Passes on what a program writes as errors, and keeps the end of it."""

    def __init__(self) -> None:
        self._kept = b""
        self._following: asyncio.Task[None] | None = None

    @property
    def line(self) -> str:
        """The last line with something in it; empty where there is none."""
        lines = self._kept.decode(errors="replace").splitlines()
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return "".join(c if c.isprintable() else "_" for c in last)

    def follow(self, errors: asyncio.StreamReader) -> None:
        """Reads them from now on, to their end."""
        self._following = asyncio.create_task(self._follow(errors))

    async def _follow(self, errors: asyncio.StreamReader) -> None:
        while piece := await errors.read(_PIECE_BYTES):
            self._kept = (self._kept + piece)[-_KEPT_BYTES:]
            with suppress(OSError, ValueError):  # a program that nobody reads from stands still
                sys.stderr.buffer.write(piece)
                sys.stderr.buffer.flush()
