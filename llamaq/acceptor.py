"""Takes connections from the sockets that the API listens on."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from ssl import SSLContext, SSLError

from llamaq.http_answers import NO_TLS
from llamaq.places import Places
from llamaq.tls import HANDSHAKE_S

_AT_ONCE = 64
_PLAIN_HTTP = "HTTP_REQUEST"  # OpenSSL's word for a request that is not encrypted
_PAUSE_S = 1.0
_GOODBYE_S = 120.0  # until all is sent when a connection closes; then it is cut off


class Acceptor:
    """Takes the connections that wait after one has come.

    uvloop takes one connection in each of its rounds. Under load a round takes long, and many wait.
    """

    def __init__(
        self, listening: Sequence[socket.socket], make: Callable[[], asyncio.Protocol]
    ) -> None:
        self._listening = listening
        self._make = make
        self._is_due = False
        self._taken: set[asyncio.Task[object]] = set()

    def take_more(self) -> None:
        """A connection has come: in a moment it looks for others."""
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._take_all)

    def _take_all(self) -> None:
        self._is_due = False
        for listening in self._listening:
            with suppress(OSError):  # there are no more files, or it is closed
                self._take(listening)

    def _take(self, listening: socket.socket) -> None:
        """Takes those that wait, but not all at once. Raises `OSError`."""
        with suppress(BlockingIOError, ConnectionAbortedError):
            for _ in range(_AT_ONCE):
                connection, address = listening.accept()
                connection.setblocking(False)
                self._greet(connection, str(address[0]))

    def _greet(self, connection: socket.socket, host: str) -> None:
        loop = asyncio.get_running_loop()
        self._start(loop.create_task(loop.connect_accepted_socket(self._make, connection)))

    def _start(self, task: asyncio.Task[object]) -> None:
        self._taken.add(task)
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[object]) -> None:
        self._taken.discard(task)
        if not task.cancelled():
            task.exception()  # the client has left already


class TlsAcceptor(Acceptor):
    """Takes all connections, and speaks TLS with them.

    Nobody counts a connection before its handshake is over. So `handshakes` has places for those
    that are under way. Where there is none, a connection is closed.
    """

    def __init__(
        self,
        listening: Sequence[socket.socket],
        make: Callable[[], asyncio.Protocol],
        context: SSLContext,
        handshakes: Places,
    ) -> None:
        super().__init__(listening, make)
        self._context = context
        self._handshakes = handshakes

    def open(self) -> None:
        """Begins to take connections."""
        for listening in self._listening:
            listening.setblocking(False)
            self._listen(listening)

    def _listen(self, listening: socket.socket) -> None:
        if listening in self._listening:
            loop = asyncio.get_running_loop()
            loop.add_reader(listening.fileno(), self._take_or_pause, listening)

    def close(self) -> None:
        """Takes no more."""
        loop = asyncio.get_running_loop()
        for listening in self._listening:
            loop.remove_reader(listening.fileno())
        self._listening = ()

    def _take_or_pause(self, listening: socket.socket) -> None:
        try:
            self._take(listening)
        except OSError:  # there are no more files
            loop = asyncio.get_running_loop()
            loop.remove_reader(listening.fileno())
            loop.call_later(_PAUSE_S, self._listen, listening)

    def _greet(self, connection: socket.socket, host: str) -> None:
        name = self._handshakes.name(host)
        if self._handshakes.take(name) is not None:
            connection.close()
            return
        self._start(asyncio.get_running_loop().create_task(self._shake_hands(connection, name)))

    async def _shake_hands(self, connection: socket.socket, name: str) -> None:
        try:
            with connection.dup() as kept:  # one whose handshake fails is closed
                await self._speak_tls(connection, kept)
        finally:
            self._handshakes.give_back(name)

    async def _speak_tls(self, connection: socket.socket, kept: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                self._make,
                connection,
                ssl=self._context,
                ssl_handshake_timeout=HANDSHAKE_S,
                ssl_shutdown_timeout=_GOODBYE_S,
            )
        except SSLError as error:
            if error.reason == _PLAIN_HTTP:
                with suppress(OSError):
                    kept.send(NO_TLS)
            raise
