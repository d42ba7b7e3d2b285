"""One request on a connection of its own, whose answer is handed on while it comes.

The bridge's hot path: no task waits for the answer, and a piece of it costs a small part of what it
costs a general HTTP client (ADR 4).
"""

import asyncio
import os
import ssl
from dataclasses import dataclass, field
from typing import Protocol, cast
from urllib.parse import urlsplit

import httptools

from worker_bridge import hang_up
from worker_bridge.plain_socket import CONNECT_S, Address, PlainSocket, address_of

_READ_BYTES = 2**16


class Reader(Protocol):
    """Reads an answer: called for each piece, and once at its end."""

    def begun(self, status: int) -> None:
        """The status and the headers are there."""

    def received(self, data: bytes) -> None:
        """A piece of the body."""

    def complete(self) -> None:
        """The answer was whole."""

    def broken(self, how: str) -> None:
        """The connection has ended before the answer."""

    def not_reached(self, error: Exception) -> None:
        """There was no connection, and so no request."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The address of a server, and the head of each request to it.

    `address` is set where there is no TLS and no name to look up.
    """

    host: str
    port: int
    base: str
    head: str
    tls: ssl.SSLContext | None = field(repr=False, default=None)
    address: Address | None = None

    @classmethod
    def of(cls, url: str, key: str | None) -> "Origin":
        """That of an http or https URL, whose server wants `key` as bearer token."""
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        lines = [f"Host: {parts.netloc.rpartition('@')[2]}", "Connection: close"]
        if key:
            lines.append(f"Authorization: Bearer {key}")
        host, port = parts.hostname or "", parts.port or (443 if secure else 80)
        return cls(
            host=host,
            port=port,
            base=parts.path.rstrip("/"),
            head="".join(f"{line}\r\n" for line in lines),
            tls=ssl.create_default_context() if secure else None,
            address=None if secure else address_of(host, port),
        )

    def request(
        self, method: str, path: str, body: bytes | None = None, traceparent: str = ""
    ) -> bytes:
        """The bytes of one request; a body is JSON. `traceparent` is that header's value."""
        first = f"{method} {self.base}{path} HTTP/1.1\r\n{self.head}"
        if body is None:
            return f"{first}\r\n".encode()
        about = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        if traceparent:
            about = f"traceparent: {traceparent}\r\n{about}"
        return f"{first}{about}".encode() + body


class Connection(asyncio.Protocol):
    """An answer that arrives. `close` drops it, which makes llama-server stop.

    It hands on what comes as it comes. After `read` it hands on what has come whenever that is
    called, and the end as it comes.
    """

    def __init__(self, origin: Origin, request: bytes, reader: Reader) -> None:
        self._origin = origin
        self._request = request
        self._reader = reader
        self._pieces: list[bytes] = []
        self.on_body = self._pieces.append  # parts of the body that came together
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._opening: asyncio.Task[None] | None = None
        self._complete = self._ended = self._paused = False
        self._hang_up: hang_up.HangUp | None = None  # while it is read when that is asked for
        self._can_be_read = hang_up.IS_HEARD and origin.tls is None

    def open(self) -> None:
        """Connects, and sends the request."""
        address = self._origin.address
        if address is None:
            self._opening = asyncio.create_task(self._look_up_and_open())
            return
        try:
            self._transport = PlainSocket(address, self._request, self)
        except OSError as error:
            self.not_reached(error)

    async def _look_up_and_open(self) -> None:
        origin = self._origin
        try:
            async with asyncio.timeout(CONNECT_S):
                await asyncio.get_running_loop().create_connection(
                    lambda: self, origin.host, origin.port, ssl=origin.tls
                )
        except (OSError, UnicodeError) as error:  # which a name may raise
            self.not_reached(error)

    def close(self) -> None:
        """Drops the connection, whatever is still on its way; the reader hears no more of it."""
        self._ended = True
        if self._opening is not None:
            self._opening.cancel()
        self.listen()
        if self._transport is not None:
            self._transport.abort()
        self._transport = self._parser = None  # no cycle is left for the collector

    def pause(self) -> None:
        """Reads no more until `resume`: the server has to wait then."""
        self._paused = True
        if self._hang_up is None and (transport := self._open_transport) is not None:
            transport.pause_reading()

    def resume(self) -> None:
        """Reads on."""
        self._paused = False
        if self._hang_up is None and (transport := self._open_transport) is not None:
            transport.resume_reading()

    def read(self) -> None:
        """Hands on what has come. More is handed on at the next call, by `listen`, or at the end.

        Does nothing with TLS, where only the transport can read, nor where no system tells the
        end.
        """
        transport = self._open_transport
        if transport is None or self._paused or not self._can_be_read:
            return
        socket = transport.get_extra_info("socket").fileno()
        if self._hang_up is None:
            transport.pause_reading()
            self._hang_up = hang_up.HangUp(socket, self.listen)
        try:
            data = os.read(socket, _READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self.data_received(data)
        else:
            self.listen()  # the transport sees that it has ended, and how

    def listen(self) -> None:
        """Hands on what comes again, as it comes."""
        if self._hang_up is None:
            return
        self._hang_up.close()
        self._hang_up = None
        if not self._paused and (transport := self._open_transport) is not None:
            transport.resume_reading()

    @property
    def _open_transport(self) -> asyncio.Transport | None:
        transport = self._transport
        return None if transport is None or self._ended or transport.is_closing() else transport

    def _break(self, how: str) -> None:
        if not self._ended:
            self._ended = True
            self._reader.broken(how)

    def not_reached(self, error: Exception) -> None:
        """Tells the reader."""
        if not self._ended:
            self._ended = True
            self._reader.not_reached(error)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Sends the request."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        if self._ended:  # closed meanwhile
            self._transport.abort()
            return
        self._transport.write(self._request)
        if self._paused:
            self._transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        """Hands a part of the answer on."""
        parser = self._parser
        if self._ended or parser is None:
            return
        fault = ""
        try:
            parser.feed_data(data)
        except httptools.HttpParserError as error:
            fault = f"not HTTP: {error}"
        if pieces := self._pieces:
            body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            pieces.clear()
            self._reader.received(body)
        if self._complete and not self._ended:
            self._ended = True
            self._reader.complete()
        elif fault:
            self._break(fault)
            self.close()

    def connection_lost(self, error: Exception | None) -> None:
        """Tells the reader, where it has not had the whole answer."""
        self._break(f"connection lost{f': {error}' if error else ''}")

    # httptools

    def on_headers_complete(self) -> None:
        """Tells the status."""
        if self._parser is not None:
            self._reader.begun(self._parser.get_status_code())

    def on_message_complete(self) -> None:
        """Takes note of the end."""
        self._complete = True
