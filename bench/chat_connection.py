"""CPU time to read a stream, per event: with httpx, and with the bridge's own connection.

    .venv/bin/python bench/chat_connection.py

Both read the same answers of the same paced server, in turn, in one run. So does the baseline: a
bare socket that ignores what it reads.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import httpx

from worker_bridge.connection import Connection, Origin

STREAMS = 50
EVENTS = 200
PAUSE_S = 0.02  # a decoder of 50 tokens/s
ROUNDS = 3
EVENT = b'data: {"choices":[{"finish_reason":null,"index":0,"delta":{"content":"word "}}]}\n\n'
HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
)

Read = Callable[[str], Awaitable[int]]


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers any request with paced events."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(HEAD)
    for _ in range(EVENTS):
        writer.write(b"%x\r\n%b\r\n" % (len(EVENT), EVENT))
        await asyncio.sleep(PAUSE_S)
    writer.write(b"0\r\n\r\n")
    await writer.drain()
    writer.close()


async def by_httpx(url: str, client: httpx.AsyncClient) -> int:
    """Reads one stream as the bridge would with httpx."""
    count, rest = 0, b""
    async with client.stream("POST", url, content=b"{}") as answer:
        async for piece in answer.aiter_raw():
            *events, rest = (rest + piece).split(b"\n\n")
            count += len(events)
    return count


class Counting:
    """Counts the events of an answer."""

    def __init__(self) -> None:
        self.count: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._seen = 0
        self._rest = b""

    def begun(self, status: int) -> None:
        """Nothing to count yet."""

    def received(self, data: bytes) -> None:
        """Splits off what is whole."""
        *events, self._rest = (self._rest + data).split(b"\n\n")
        self._seen += len(events)

    def complete(self) -> None:
        """All were there."""
        self.count.set_result(self._seen)

    def broken(self, how: str) -> None:
        """Some are missing."""
        self.count.set_exception(RuntimeError(how))

    def not_reached(self, error: Exception) -> None:
        """All are missing."""
        self.count.set_exception(error)


async def by_connection(url: str) -> int:
    """Reads one stream as the bridge does."""
    reader, origin = Counting(), Origin.of(url, None)
    connection = Connection(origin, origin.request("POST", "/", b"{}"), reader)
    connection.open()
    count = await reader.count
    connection.close()
    return count


async def cpu_per_event(read: Read, url: str) -> float:
    """Microseconds of this process' CPU per event; the paced server's share is in it."""
    started = time.process_time()
    counts = await asyncio.gather(*(read(url) for _ in range(STREAMS)))
    if sum(counts) != STREAMS * EVENTS:
        raise RuntimeError(f"{sum(counts)} of {STREAMS * EVENTS} events arrived")
    return (time.process_time() - started) / (STREAMS * EVENTS) * 1e6


async def drain(url: str) -> int:
    """The baseline: takes the bytes and looks at none of them."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(b"POST / HTTP/1.1\r\n\r\n")
    count = 0
    while data := await reader.read(65536):
        count += data.count(b"\n\n")
    writer.close()
    return count


async def main() -> None:
    """Prints the figures of each round."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server, httpx.AsyncClient(trust_env=False, timeout=None) as client:  # noqa: S113

        async def read_by_httpx(url: str) -> int:
            return await by_httpx(url, client)

        for _ in range(ROUNDS):
            bare = await cpu_per_event(drain, url)
            own = await cpu_per_event(by_connection, url)
            general = await cpu_per_event(read_by_httpx, url)
            print(f"bare socket {bare:.0f}, own {own:.0f}, httpx {general:.0f} µs of CPU per event")


if __name__ == "__main__":
    asyncio.run(main())
