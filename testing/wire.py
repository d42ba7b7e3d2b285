"""A client's connection as its server sees it, without a socket."""

import asyncio
from typing import Any


class Wire(asyncio.Transport):
    """A transport that keeps what is written, write by write. It comes from this address."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        super().__init__({"peername": (host, 1)})
        self.writes: list[bytes] = []
        self.is_open = True
        self.was_aborted = False
        self.unsent_bytes = 0

    @property
    def sent(self) -> bytes:
        """All that was written."""
        return b"".join(self.writes)

    def write(self, data: Any) -> None:
        assert isinstance(data, bytes)
        self.writes.append(data)

    def close(self) -> None:
        self.is_open = False

    def abort(self) -> None:
        self.is_open, self.was_aborted = False, True

    def get_write_buffer_size(self) -> int:
        return self.unsent_bytes

    def is_closing(self) -> bool:
        return not self.is_open

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...
