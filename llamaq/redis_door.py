"""TLS for the embedded Redis, whose program has none: passes on from ADDR:PORT to its socket.

python -m llamaq.redis_door HOST PORT SOCKET CHAIN KEY
"""

import asyncio
import contextlib
import logging
import os
import signal
import ssl
import sys

from dispatcher.tasks import cancel
from llamaq.logs import LOG_LEVEL, set_up_logs

log = logging.getLogger("llamaq.redis_door")

_MOST_CONNECTIONS = 4096
_HANDSHAKE_S = 10.0
_PIECE_BYTES = 2**16


class Door:
    """Passes on what comes over TLS, byte for byte; the server asks for the password."""

    def __init__(self, socket_path: str) -> None:
        self._socket_path = socket_path
        self._open: set[asyncio.Task[None]] = set()

    async def serve(self, host: str, port: int, tls: ssl.SSLContext) -> None:
        """Serves until SIGTERM or SIGINT. Raises `OSError` where it can't listen there."""
        ending = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, ending.set)
        server = await asyncio.start_server(
            self._take, host, port, ssl=tls, ssl_handshake_timeout=_HANDSHAKE_S
        )
        log.info("Redis can be reached over TLS at %s port %s", host, port)
        try:
            await ending.wait()
        finally:
            server.close()
            await cancel(self._open)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._open) >= _MOST_CONNECTIONS:
            writer.transport.abort()
            return
        self._open.add(task)
        try:
            with contextlib.suppress(OSError):
                await self._join(reader, writer)
        finally:
            self._open.discard(task)
            writer.transport.abort()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_unix_connection(self._socket_path)
        ways = [
            asyncio.create_task(_pass_on(reader, inner_writer)),
            asyncio.create_task(_pass_on(inner_reader, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await cancel(ways)
            inner_writer.transport.abort()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_PIECE_BYTES):
            writer.write(data)
            await writer.drain()


def main(host: str, port: str, socket_path: str, chain: str, key: str) -> None:
    """Serves, as the arguments say."""
    set_up_logs(os.environ.get(LOG_LEVEL, "info"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(chain, key)
    asyncio.run(Door(socket_path).serve(host, int(port), tls))


if __name__ == "__main__":
    main(*sys.argv[1:])
