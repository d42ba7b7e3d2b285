"""A TCP proxy, for tests and trials to say what becomes of the bytes that pass."""

import asyncio
from abc import abstractmethod

from dispatcher.tasks import first_of
from testing.listener import Listener

CHUNK_BYTES = 2**16

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Proxy(Listener):
    """Connects each of its clients to the server that `_connect` reaches.

    Subclasses say how requests (`_ask`) and answers (`_answer`) pass. When one direction ends, so
    does the connection.
    """

    def __init__(self, port: int = 0) -> None:
        super().__init__(self._between, port)

    @abstractmethod
    async def _connect(self) -> Ends:
        """A new connection to the server. Where it raises `OSError`, the client's breaks."""

    async def _between(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = [writer]
        try:
            far_reader, far_writer = await self._connect()
            ends.append(far_writer)
            await first_of(self._ask(reader, far_writer), self._answer(far_reader, writer))
        except (OSError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            for end in ends:
                end.close()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._pass(reader, writer)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._pass(reader, writer)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
