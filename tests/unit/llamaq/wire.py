"""The connection of a client as its server sees it, without a socket."""

import asyncio
from typing import Any


class Wire(asyncio.Transport):
    """A transport that keeps what is written, write by write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.is_open = True

    @property
    def sent(self) -> bytes:
        """All that was written."""
        return b"".join(self.writes)

    def write(self, data: Any) -> None:
        assert isinstance(data, bytes)
        self.writes.append(data)

    def close(self) -> None:
        self.is_open = False

    abort = close

    def is_closing(self) -> bool:
        return not self.is_open

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...
