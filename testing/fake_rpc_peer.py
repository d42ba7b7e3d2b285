"""A plain listener in the place of a ggml-rpc-server."""

import socket
from contextlib import suppress


class FakePeer:
    """It is busy with its llama-server: it accepts nobody, and few may wait, as with the real one.

    It listens at the same address each time.
    """

    def __init__(self) -> None:
        self.port = 0
        self._listener = self.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> socket.socket:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(1)
        self.port = listener.getsockname()[1]
        self._listener = listener
        return listener

    def die(self) -> None:
        """As a program that is killed: the system resets what waits."""
        self._listener.close()

    def waiting(self) -> list[socket.socket]:
        """Accepts the clients that wait, and returns them."""
        self._listener.setblocking(False)
        found = []
        with suppress(BlockingIOError):
            while True:
                found.append(self._listener.accept()[0])
        return found
