"""One POST on a connection of its own, whose answer is read while it comes.

The bridge's hot path: per chunk it costs a small part of what a general HTTP client does (ADR 4).
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from typing import cast
from urllib.parse import SplitResult

import httptools

_CONNECT_S = 5.0


class ConnectionBroken(Exception):
    """The connection failed: `reached` tells whether the server may have seen the request."""

    def __init__(self, message: str, *, reached: bool) -> None:
        super().__init__(message)
        self.reached = reached


class ChatConnection(asyncio.Protocol):
    """An answer that arrives. `close` drops the connection, which makes llama-server stop."""

    def __init__(self, request: bytes) -> None:
        self.status = 0
        self._request = request
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._pieces: list[bytes] = []
        self._news = asyncio.Event()
        self._complete = False
        self._broken: str | None = None

    async def headers(self) -> None:
        """Waits for the status line and the headers. Raises `ConnectionBroken`."""
        while not self.status:
            await self._wait()
        if self._pieces or self._complete:
            self._news.set()

    async def body(self) -> bytes:
        """Waits for all of the body. Raises `ConnectionBroken`."""
        parts: list[bytes] = []
        while True:
            await self._wait()
            parts += self._pieces
            self._pieces = []
            if self._complete:
                return b"".join(parts)

    async def events(self) -> AsyncIterator[list[bytes]]:
        """The server-sent events, as many as there are at a time, without their blank lines.

        Raises `ConnectionBroken` where the answer ends before its end.
        """
        rest = b""
        while True:
            await self._wait()
            pieces, self._pieces = self._pieces, []
            *events, rest = (rest + b"".join(pieces)).split(b"\n\n")
            if events:
                yield events
            if self._complete:
                return

    def close(self) -> None:
        """Drops the connection, whatever is still on its way."""
        if self._transport is not None:
            self._transport.abort()

    async def _wait(self) -> None:
        if self._broken is None:
            await self._news.wait()
            self._news.clear()
        if self._broken is not None and not self._pieces and not self._complete:
            raise ConnectionBroken(self._broken, reached=True)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Sends the request."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Takes a part of the answer."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._broken = f"not HTTP: {error}"
            self.close()
        self._news.set()

    def connection_lost(self, error: Exception | None) -> None:
        """Tells whoever waits."""
        self._broken = self._broken or f"connection lost{f': {error}' if error else ''}"
        self._news.set()

    # httptools

    def on_headers_complete(self) -> None:
        """Takes the status."""
        self.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        """Takes a part of the body."""
        self._pieces.append(body)

    def on_message_complete(self) -> None:
        """Takes note of the end."""
        self._complete = True


async def post(url: SplitResult, headers: Mapping[str, str], body: bytes) -> ChatConnection:
    """Sends `body` to `url`; returns when it is on its way. Raises `ConnectionBroken`."""
    secure = url.scheme == "https"
    host, port = url.hostname or "", url.port or (443 if secure else 80)
    lines = [
        f"POST {url.path} HTTP/1.1",
        f"Host: {url.netloc.rpartition('@')[2]}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    request = "\r\n".join(lines).encode() + b"\r\n\r\n" + body
    loop = asyncio.get_running_loop()
    context = ssl.create_default_context() if secure else None
    try:
        async with asyncio.timeout(_CONNECT_S):
            _, connection = await loop.create_connection(
                lambda: ChatConnection(request), host, port, ssl=context
            )
    except (OSError, TimeoutError) as error:
        raise ConnectionBroken(f"can't connect: {error}", reached=False) from error
    return connection
