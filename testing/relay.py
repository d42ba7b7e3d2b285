"""A proxy before Redis: it holds replies back, or cuts them once the work is done."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from redis.asyncio.connection import parse_url

from testing.proxy import CHUNK_BYTES, Ends, Proxy


class Relay(Proxy):
    """Passes everything on until told otherwise, each reply after `delay_s`.

    `held` is set once a reply is held back. With `pieces` replies come byte by byte.
    """

    def __init__(self, redis_url: str, path: Path) -> None:
        super().__init__()
        self.url = f"unix://{path}"
        self.held = asyncio.Event()
        self.delay_s = 0.0
        self.pieces = False
        self._target = parse_url(redis_url)
        self._cuts = 0
        self._open = asyncio.Event()
        self._open.set()

    def cut_next_reply(self, times: int = 1) -> None:
        """Cuts the next replies in their middle, each with its connection.

        A reply to a handshake counts, too.
        """
        self._cuts = times

    def hold_replies(self) -> None:
        self.held.clear()
        self._open.clear()

    def let_go(self) -> None:
        self._open.set()

    async def _connect(self) -> Ends:
        if "path" in self._target:
            return await asyncio.open_unix_connection(self._target["path"])
        return await asyncio.open_connection(self._target["host"], self._target["port"])

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK_BYTES):
            if not self._open.is_set():
                self.held.set()
            await self._open.wait()
            if self.delay_s:
                asyncio.get_running_loop().call_later(self.delay_s, writer.write, data)
                continue
            if self._cuts:
                self._cuts -= 1
                writer.write(data[: len(data) // 2])
                return
            for start in range(len(data)) if self.pieces else ():
                writer.write(data[start : start + 1])
                await asyncio.sleep(0)
            if not self.pieces:
                writer.write(data)


@asynccontextmanager
async def relay_to(
    redis_url: str, path: Path, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Relay]:
    """Listens at `path`; with `tls` on a TCP port instead."""
    relay = Relay(redis_url, path)
    await relay.open(path if tls is None else None, tls)
    try:
        yield relay
    finally:
        await relay.close()
