"""Takes the connections that wait behind the one that has come."""

import asyncio
import socket
from collections.abc import Callable, Sequence

_AT_ONCE = 64


class Acceptor:
    """uvloop takes one connection in each of its rounds. Under load a round takes long, and many
    wait.
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
            asyncio.get_running_loop().call_soon(self._take)

    def _take(self) -> None:
        self._is_due = False
        for listening in self._listening:
            for _ in range(_AT_ONCE):
                try:
                    connection, _ = listening.accept()
                except OSError:  # none waits, or there are no more files, or it is closed
                    break
                self._start(connection)

    def _start(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        loop = asyncio.get_running_loop()
        task = loop.create_task(loop.connect_accepted_socket(self._make, connection))
        self._taken.add(task)
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[object]) -> None:
        self._taken.discard(task)
        if not task.cancelled():
            task.exception()  # the client has left already
