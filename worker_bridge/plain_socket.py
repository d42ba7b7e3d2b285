"""A TCP connection to a server whose address needs no look-up: cheaper to open than asyncio's.

To a server near by, the request has left when the connection was made: no task waits, and the event
loop takes no round for it (ADR 4).
"""

import asyncio
import errno
import os
import select
import socket
from ipaddress import ip_address
from typing import NamedTuple, Protocol

CONNECT_S = 5.0
"""How long a server may take to accept a connection."""

_TAKEN = memoryview(bytearray(2**18))  # what one read took, until it is copied
_IS_LINUX = hasattr(select, "epoll")  # elsewhere a socket can't be written to while it connects
_TYPE = socket.SOCK_STREAM | (socket.SOCK_NONBLOCK if _IS_LINUX else 0)


class Address(NamedTuple):
    """A numeric address, and the family that it belongs to."""

    family: socket.AddressFamily
    host: str
    port: int


class Owner(Protocol):
    """The owner of the connection. Nothing is told to it after it has aborted."""

    def data_received(self, data: bytes) -> None:
        """A piece has come."""

    def connection_lost(self, error: Exception | None) -> None:
        """It has ended."""

    def not_reached(self, error: Exception) -> None:
        """It was never there."""


def address_of(host: str, port: int) -> Address | None:
    """The address that this host is; None for a name, and where only asyncio can connect.

    >>> address_of("::1", 80), address_of("localhost", 80)
    (Address(family=<AddressFamily.AF_INET6: 10>, host='::1', port=80), None)
    """
    if not _IS_LINUX or "%" in host:
        return None
    try:
        version = ip_address(host).version
    except ValueError:
        return None
    return Address(socket.AF_INET if version == 4 else socket.AF_INET6, host, port)


class PlainSocket(asyncio.Transport):
    """Connects, sends the request, and hands on what comes. Raises `OSError` where it sees at once
    that nobody is there.
    """

    def __init__(self, address: Address, request: bytes, owner: Owner) -> None:
        self._loop = asyncio.get_running_loop()
        self._owner = owner
        self._unsent = memoryview(request)
        self._is_reached = self._is_paused = self._is_closed = False
        self._give_up: asyncio.TimerHandle | None = None
        self._socket = socket.socket(address.family, _TYPE)
        super().__init__({"socket": self._socket})
        try:
            self._connect(address)
            self._send()
        except OSError:
            self._socket.close()
            raise
        if self._unsent:
            self._loop.add_writer(self._socket, self._go_on)
        if self._is_reached:
            self._loop.add_reader(self._socket, self._read)
        else:
            self._give_up = self._loop.call_later(CONNECT_S, self._miss, TimeoutError("timed out"))

    def is_closing(self) -> bool:
        """Whether it has ended."""
        return self._is_closed

    def abort(self) -> None:
        """Ends it; its owner hears no more."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._give_up is not None:
            self._give_up.cancel()
        self._loop.remove_reader(self._socket)
        if self._unsent:
            self._loop.remove_writer(self._socket)
        self._socket.close()

    def pause_reading(self) -> None:
        """Reads no more."""
        self._is_paused = True
        if self._is_reached:
            self._loop.remove_reader(self._socket)

    def resume_reading(self) -> None:
        """Reads on."""
        self._is_paused = False
        if self._is_reached:
            self._loop.add_reader(self._socket, self._read)

    def _connect(self, address: Address) -> None:
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _raise(self._socket.connect_ex((address.host, address.port)))

    def _send(self) -> None:
        """Sends what there is room for: nothing as long as it connects."""
        try:
            sent = self._socket.send(self._unsent)
        except BlockingIOError:
            return
        self._unsent = self._unsent[sent:]
        self._is_reached = True

    def _go_on(self) -> None:
        if not self._is_reached:
            try:
                _raise(self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
            except OSError as error:
                self._miss(error)
                return
            self._reach()
        try:
            self._send()
        except OSError:
            self._unsent = self._unsent[:0]  # what the server has said is still to be read
        if not self._unsent:
            self._loop.remove_writer(self._socket)

    def _reach(self) -> None:
        self._is_reached = True
        if self._give_up is not None:
            self._give_up.cancel()
        if not self._is_paused:
            self._loop.add_reader(self._socket, self._read)

    def _miss(self, error: Exception) -> None:
        self.abort()
        self._owner.not_reached(error)

    def _read(self) -> None:
        try:
            number = self._socket.recv_into(_TAKEN)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(error)
            return
        if number == 0:
            self._lose(None)
            return
        try:
            self._owner.data_received(_TAKEN[:number].tobytes())
        except Exception as error:
            self._lose(error)
            raise

    def _lose(self, error: Exception | None) -> None:
        self.abort()
        self._owner.connection_lost(error)


def _raise(number: int) -> None:
    if number not in (0, errno.EINPROGRESS):
        raise OSError(number, os.strerror(number))
