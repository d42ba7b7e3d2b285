"""Stands between clients and Redis: holds replies back, or cuts them once the work is done."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from redis.asyncio.connection import parse_url


class Relay:
    """Passes everything on until told otherwise, each reply after `delay_s`.

    `held` is set once a reply is held back. With `pieces` replies come byte by byte.
    """

    def __init__(self, redis_url: str, path: Path) -> None:
        self.url = f"unix://{path}"
        self.port = 0
        self.held = asyncio.Event()
        self.delay_s = 0.0
        self.pieces = False
        self._target = parse_url(redis_url)
        self._cuts = 0
        self._open = asyncio.Event()
        self._open.set()

    def cut_next_reply(self, times: int = 1) -> None:
        """So many replies in their middle, each with its connection; one to a handshake counts as
        well.
        """
        self._cuts = times

    def hold_replies(self) -> None:
        self.held.clear()
        self._open.clear()

    def let_go(self) -> None:
        self._open.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if "path" in self._target:
            up_reader, up_writer = await asyncio.open_unix_connection(self._target["path"])
        else:
            host, port = self._target["host"], self._target["port"]
            up_reader, up_writer = await asyncio.open_connection(host, port)
        with suppress(ConnectionError):
            await asyncio.gather(self._ask(reader, up_writer), self._answer(up_reader, writer))
        for end in (writer, up_writer):
            end.close()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(2**16):
            writer.write(data)
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(2**16):
            if not self._open.is_set():
                self.held.set()
            await self._open.wait()
            if self.delay_s:
                asyncio.get_running_loop().call_later(self.delay_s, writer.write, data)
                continue
            if self._cuts:
                self._cuts -= 1
                writer.write(data[: len(data) // 2])
                break
            for start in range(len(data)) if self.pieces else ():
                writer.write(data[start : start + 1])
                await asyncio.sleep(0)
            if not self.pieces:
                writer.write(data)
        writer.close()


@asynccontextmanager
async def relay_to(
    redis_url: str, path: Path, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Relay]:
    """Listens at `path`; with `tls` on a TCP port of localhost instead."""
    relay = Relay(redis_url, path)
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(relay.serve(reader, writer)))

    if tls is None:
        server = await asyncio.start_unix_server(accept, path)
    else:
        server = await asyncio.start_server(accept, "localhost", 0, ssl=tls)
        relay.port = server.sockets[0].getsockname()[1]
    try:
        yield relay
    finally:
        relay.let_go()
        server.close()
        await asyncio.gather(*tasks)
