"""The proxy breaks what it says, and nothing else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from testing.processes import free_port
from tests.chaos.proxy import Link

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Echo:
    """Answers each line with itself. `heard` are those that came."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while line := await reader.readline():
                self.heard.append(line)
                writer.write(line)
        writer.close()


@pytest.fixture
async def echo() -> AsyncIterator[tuple[Echo, int]]:
    echo, port = Echo(), free_port()
    server = await asyncio.start_server(echo.serve, "127.0.0.1", port)
    yield echo, port
    server.close()


@pytest.fixture
async def link(echo: tuple[Echo, int]) -> AsyncIterator[Link]:
    link = Link("a-b", free_port(), echo[1])
    await link.open()
    yield link
    await link.close()


@asynccontextmanager
async def connected(link: Link) -> AsyncIterator[Ends]:
    reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
    yield reader, writer
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def ask(ends: Ends, line: bytes) -> bytes:
    """The answer, or nothing from a broken connection; raises TimeoutError."""
    reader, writer = ends
    writer.write(line)
    async with asyncio.timeout(0.5):
        try:
            return await reader.readline()
        except ConnectionError:
            return b""


async def test_everything_passes_until_there_is_a_fault(link: Link) -> None:
    async with connected(link) as ends:
        assert [await ask(ends, b"%d\n" % n) for n in range(3)] == [b"0\n", b"1\n", b"2\n"]


async def test_lost_reply_is_of_a_command_that_was_executed(
    link: Link, echo: tuple[Echo, int]
) -> None:
    async with connected(link) as ends:
        link.lost_replies = 1
        assert await ask(ends, b"once\n") == b""
    assert echo[0].heard == [b"once\n"]


async def test_silent_link_tells_nobody_and_one_that_is_cut_does(link: Link) -> None:
    async with connected(link) as ends:
        link.silent = True
        with pytest.raises(TimeoutError):
            await ask(ends, b"1\n")
        link.cut()
        assert await ask(ends, b"2\n") == b""
    link.silent = False
    async with connected(link) as again:
        assert await ask(again, b"3\n") == b"3\n"


async def test_link_that_is_down_refuses(link: Link) -> None:
    link.down = True
    async with connected(link) as ends:
        assert await ask(ends, b"1\n") == b""


async def test_paced_link_is_slow(link: Link) -> None:
    link.pace = 200
    async with connected(link) as ends:
        with pytest.raises(TimeoutError):
            await ask(ends, b"x" * 300 + b"\n")
