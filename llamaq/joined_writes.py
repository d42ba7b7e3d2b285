"""Sends the head of an answer together with the first piece of its body: one write less."""

import asyncio
from typing import Any

_HEAD_ENDS = b"\r\n\r\n"
_INTERIM = b"HTTP/1.1 1"


class JoinedWrites:
    """A connection's transport, as uvicorn uses it. uvicorn writes a head by itself.

    Here it waits for what is written next. It leaves alone when that does not come in the same
    round of the event loop.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head = b""
        self.is_closing = transport.is_closing

    def write(self, data: bytes) -> None:
        """Sends it, behind the head that waits."""
        if self._head:
            data, self._head = self._head + data, b""
        elif data.endswith(_HEAD_ENDS) and data.startswith(b"HTTP/") and data[:10] != _INTERIM:
            self._head = data
            self._loop.call_soon(self._flush)
            return
        self._transport.write(data)

    def close(self) -> None:
        """Closes the connection when all is sent."""
        self._flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        """All else is the transport's own."""
        return getattr(self._transport, name)

    def _flush(self) -> None:
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head)
