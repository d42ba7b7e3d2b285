"""A TCP proxy between two parts of the fleet, which breaks the ways in which networks break."""

import asyncio
import random

from testing.proxy import CHUNK_BYTES, Ends, Proxy


class Link(Proxy):
    """Stands before `target_port`, at `port`. A fault changes its fields while it runs.

    `delay_s` is added to every piece in both directions, `pace` is how many bytes a second come
    back (0: as they come). `lost_replies` is the share of answers that are lost after their request
    was executed, with the connection. While it is `silent` nothing passes and nobody is told, as
    when a cable is pulled out; while it is `down` connections are refused.
    """

    def __init__(self, name: str, port: int, target_port: int, pace: float = 0) -> None:
        super().__init__(port)
        self.name = name
        self.pace = pace
        self.delay_s = 0.0
        self.down = False
        self.target_port = target_port
        self.lost_replies = 0.0
        self._passing = asyncio.Event()
        self._passing.set()

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

    async def _connect(self) -> Ends:
        if self.down:
            raise ConnectionRefusedError
        return await asyncio.open_connection("127.0.0.1", self.target_port)

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK_BYTES):
            await self._pause()
            writer.write(data)
            await writer.drain()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(int(self.pace / 20) or CHUNK_BYTES):
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
