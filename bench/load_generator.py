"""A lean HTTP client for loads: it keeps what comes, and when, without reading it.

`bench/answers.py` reads it after the load. So the client leaves the machine's cores to what is
measured.
"""

import asyncio
import time
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import uvloop

TIMEOUT_S = 120.0
CHUNKED_END = b"\r\n0\r\n\r\n"
_HEAD_END = b"\r\n\r\n"
_CHUNKED = -1
_now_s = time.perf_counter  # the loop's own clock has whole milliseconds


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent, `at_s` after the start; a right answer has `tokens` tokens, of `seed`.

    A stream that tells its `usage` comes from a real server, whose tokens have no numbers.
    """

    content: bytes
    seed: int
    tokens: int
    stream: bool
    at_s: float = 0
    usage: bool = False


@dataclass(slots=True)
class Exchange:
    """A request and the pieces of its answer; times in seconds, by `perf_counter`."""

    request: Request
    sent_s: float
    ended_s: float = 0
    complete: bool = False
    pieces: list[tuple[float, bytes]] = field(default_factory=list)


class Client(asyncio.Protocol):
    """One client, with one request at a time. It keeps its connection if the server does."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._exchange: Exchange | None = None
        self._over: asyncio.Future[None] | None = None
        self._left: int | None = None  # bytes of the body; None: the head is not complete yet
        self._keeps = True
        self._tail = b""

    async def ask(self, request: Request) -> Exchange:
        """Sends one request and waits until its answer is over, or broke off."""
        if self._transport is None:
            await self._connect()
        self._over = self._loop.create_future()
        self._left, self._tail = None, b""
        exchange = self._exchange = Exchange(request, _now_s())
        if self._transport is None:
            exchange.ended_s = exchange.sent_s
            return exchange
        self._transport.write(request.content)
        timer = self._loop.call_later(TIMEOUT_S, self.close)
        await self._over
        timer.cancel()
        return exchange

    def close(self) -> None:
        """Ends the connection, and with it what is under way."""
        if self._transport is not None:
            self._transport.abort()

    async def _connect(self) -> None:
        try:
            await self._loop.create_connection(lambda: self, "127.0.0.1", self._port)
        except OSError:
            self._transport = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """There it is."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Keeps it; looks only for the end."""
        if self._exchange is None:
            return self.close()
        self._exchange.pieces.append((_now_s(), data))
        seen = self._tail + data
        if self._left is None:
            head, end, body = seen.partition(_HEAD_END)
            if not end:
                self._tail = seen
                return None
            self._left = _length(head)
            self._keeps = b"connection: close" not in head.lower()
            data = body
            seen = _HEAD_END[:2] + body
        if self._left >= 0:
            self._left -= len(data)
            if self._left <= 0:
                self._end(complete=True)
        elif seen.endswith(CHUNKED_END):
            self._end(complete=True)
        else:
            self._tail = seen[-len(CHUNKED_END) :]
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        """What was under way has broken off."""
        self._transport = None
        self._end(complete=False)

    def _end(self, *, complete: bool) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is None or self._over is None:
            return
        exchange.complete, exchange.ended_s = complete, _now_s()
        if not self._keeps and self._transport is not None:
            self._transport.abort()
            self._transport = None
        if not self._over.done():
            self._over.set_result(None)


def _length(head: bytes) -> int:
    """Bytes of the body, or _CHUNKED."""
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return _CHUNKED


async def closed_loop(port: int, requests: Iterable[Request], at_once: int) -> list[Exchange]:
    """Each of `at_once` clients sends its next request when the last answer is over."""
    left, found = iter(requests), []

    async def go_on() -> None:
        client = Client(port)
        for request in left:
            found.append(await client.ask(request))  # noqa: PERF401 - as they end
        client.close()

    await asyncio.gather(*(go_on() for _ in range(at_once)))
    return found


async def at_times(port: int, requests: Sequence[Request]) -> list[Exchange]:
    """Each request when it is due, on a connection of its own."""
    start_s = _now_s() + 0.05

    async def one(request: Request) -> Exchange:
        await asyncio.sleep(start_s + request.at_s - _now_s())
        client = Client(port)
        exchange = await client.ask(request)
        client.close()
        return exchange

    return list(await asyncio.gather(*map(one, requests)))


def run(load: Coroutine[Any, Any, list[Exchange]]) -> list[Exchange]:
    """Runs a load to its end."""
    return uvloop.run(load)
