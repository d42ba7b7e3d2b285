"""A TCP proxy between two parts of the fleet, which breaks the ways in which networks break."""

import asyncio
import random
from contextlib import suppress

_CHUNK = 2**16


class Link:
    """Stands before `target_port`, at `port`. A fault changes its fields while it runs.

    `delay_s` is added to every piece in both directions, `pace` is how many bytes a second come
    back (0: as they come). `lost_replies` is the share of answers that are lost after their request
    was executed, with the connection. While it is `silent` nothing passes and nobody is told, as
    when a cable is pulled out; while it is `down` connections are refused.
    """

    def __init__(self, name: str, port: int, target_port: int, pace: float = 0) -> None:
        self.name = name
        self.port = port
        self.pace = pace
        self.delay_s = 0.0
        self.down = False
        self.target_port = target_port
        self.lost_replies = 0.0
        self._passing = asyncio.Event()
        self._passing.set()
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listens."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    async def close(self) -> None:
        """Listens no more, and breaks every connection."""
        assert self._server is not None
        self._server.close()
        self.cut()
        await asyncio.gather(*self._connections, return_exceptions=True)

    @property
    def silent(self) -> bool:
        """Whether everything is held back."""
        return not self._passing.is_set()

    @silent.setter
    def silent(self, yes: bool) -> None:
        if yes:
            self._passing.clear()
        else:
            self._passing.set()

    def cut(self) -> None:
        """Breaks every connection; what is on its way is lost."""
        for connection in self._connections:
            connection.cancel()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        with suppress(asyncio.CancelledError):
            await asyncio.wait([task])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = [writer]
        try:
            if self.down:
                return
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target_port)
            ends.append(far_writer)
            ways = {
                asyncio.create_task(self._ask(reader, far_writer)),
                asyncio.create_task(self._answer(far_reader, writer)),
            }
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            for end in ends:
                end.close()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_CHUNK):
            await self._pause()
            writer.write(data)
            await writer.drain()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(int(self.pace / 20) or _CHUNK):
            await self._pause()
            if random.random() < self.lost_replies:  # noqa: S311
                writer.transport.abort()
                return
            writer.write(data)
            await writer.drain()
            if self.pace:
                await asyncio.sleep(len(data) / self.pace)

    async def _pause(self) -> None:
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        await self._passing.wait()
