"""A listening socket whose connections a test can break."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Listener:
    """Serves each connection in a task, which `cut` cancels.

    It listens at `port` each time; port 0 becomes a free one at the first start.
    """

    def __init__(self, serve: Serve, port: int = 0) -> None:
        self.port = port
        self._serve = serve
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def open(self, path: Path | None = None, tls: ssl.SSLContext | None = None) -> None:
        """Listens on 127.0.0.1, or on the Unix socket `path`."""
        if path is not None:
            self._server = await asyncio.start_unix_server(self._accept, path)
            return
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, ssl=tls)
        self.port = self._server.sockets[0].getsockname()[1]

    def refuse(self) -> None:
        """Listens no more. The connections stay, and nobody tells their clients."""
        if self._server is not None:
            self._server.close()

    def cut(self) -> None:
        """Breaks every connection, and goes on listening."""
        for connection in self._connections:
            connection.cancel()

    async def close(self) -> None:
        """Listens no more, and breaks every connection."""
        self.refuse()
        self.cut()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        with suppress(asyncio.CancelledError):
            await asyncio.wait([task])
