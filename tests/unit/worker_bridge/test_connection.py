"""Answers that break off, as a raw server can make them, and what their reader is told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from testing.waiting import until
from worker_bridge.connection import Connection, Origin

OK = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@asynccontextmanager
async def server_that_says(*answer: bytes) -> AsyncIterator[str]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
        for part in answer:
            writer.write(part)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


class Told:
    """Keeps what its connection tells."""

    def __init__(self) -> None:
        self.status = 0
        self.body = b""
        self.end: list[str] = []
        self.ended = asyncio.Event()

    def begun(self, status: int) -> None:
        self.status = status

    def received(self, data: bytes) -> None:
        self.body += data

    def complete(self) -> None:
        self.end.append("complete")
        self.ended.set()

    def broken(self, how: str) -> None:
        self.end.append(how)
        self.ended.set()

    def not_reached(self, error: Exception) -> None:
        self.end.append(f"not reached: {type(error).__name__}")
        self.ended.set()


async def told_of(*answer: bytes) -> Told:
    """What a reader is told of such an answer, to its end."""
    async with server_that_says(*answer) as url:
        told = Told()
        origin = Origin.of(url, None)
        connection = Connection(origin, origin.request("POST", "/", b"{}"), told)
        connection.open()
        await told.ended.wait()
        connection.close()
        await asyncio.sleep(0)
    assert len(told.end) == 1
    return told


async def test_error_body_that_breaks_off_is_a_broken_connection() -> None:
    told = await told_of(b"HTTP/1.1 500 Error\r\nContent-Length: 100\r\n\r\nhalf of it")
    assert (told.status, told.body) == (500, b"half of it")
    assert "connection lost" in told.end[0]


async def test_error_body_is_read_whole() -> None:
    told = await told_of(b"HTTP/1.1 400 No\r\nContent-Length: 4\r\n\r\nwhat")
    assert (told.status, told.body, told.end) == (400, b"what", ["complete"])


async def test_events_before_the_break_are_seen_and_then_the_break() -> None:
    told = await told_of(OK + b"9\r\ndata: a\n\n\r\n")
    assert (told.body, "connection lost" in told.end[0]) == (b"data: a\n\n", True)


async def test_answer_that_is_not_http_is_a_broken_connection() -> None:
    assert "not HTTP" in (await told_of(b"SSH-2.0-nothing of ours\r\n")).end[0]


async def test_nothing_is_told_of_a_connection_that_was_closed() -> None:
    async with server_that_says(OK + b"9\r\ndata: a\n\n\r\n") as url:
        told = Told()
        origin = Origin.of(url, None)
        connection = Connection(origin, origin.request("GET", "/"), told)
        connection.open()
        connection.close()
        await asyncio.sleep(0.05)
    assert (told.status, told.body, told.end) == (0, b"", [])


async def test_what_has_come_is_handed_on_when_it_is_asked_for_and_the_end_by_itself() -> None:
    piece = b"9\r\ndata: %d\n\n\r\n"
    more, came, told = asyncio.Semaphore(0), asyncio.Event(), Told()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        for number in range(4):
            writer.write(piece % number)
            await writer.drain()
            came.set()
            await more.acquire()
        writer.write(b"0\r\n\r\n")
        writer.close()

    async def one_more() -> None:
        came.clear()
        more.release()
        await came.wait()
        await asyncio.sleep(0.01)  # what comes by itself would be there

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        origin = Origin.of(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", None)
        connection = Connection(origin, origin.request("GET", "/"), told)
        connection.open()
        await until(lambda: told.body.count(b"data") == 1)
        connection.read()
        connection.read()
        await one_more()
        assert told.body.count(b"data") == 1
        connection.read()
        assert told.body.count(b"data") == 2
        connection.listen()
        await one_more()
        await until(lambda: told.body.count(b"data") == 3)
        connection.read()
        await one_more()
        connection.pause()
        connection.listen()
        await asyncio.sleep(0.01)
        assert told.body.count(b"data") == 3
        connection.resume()
        await until(lambda: told.body.count(b"data") == 4)
        connection.read()
        connection.pause()
        more.release()
        await asyncio.sleep(0.05)
        assert told.end == []
        connection.resume()
        connection.read()
        await asyncio.wait_for(told.ended.wait(), 30)  # nobody reads any more
        connection.read()
        connection.close()
    assert (told.end, told.body) == (["complete"], b"".join(b"data: %d\n\n" % n for n in range(4)))


async def test_break_is_seen_though_nobody_reads_any_more() -> None:
    async with server_that_says(OK + b"9\r\ndata: a\n\n\r\n") as url:
        told = Told()
        origin = Origin.of(url, None)
        connection = Connection(origin, origin.request("GET", "/"), told)
        connection.open()
        connection.read()
        await asyncio.wait_for(told.ended.wait(), 30)
    assert (told.body, len(told.end)) == (b"data: a\n\n", 1)
    assert "connection lost" in told.end[0]


@pytest.mark.parametrize(
    ("url", "key", "lines"),
    [
        ("http://h:80", None, ["GET /x HTTP/1.1", "Host: h:80", "Connection: close"]),
        ("http://u:p@h/base/", None, ["GET /base/x HTTP/1.1", "Host: h", "Connection: close"]),
        ("http://[::1]:8080", "k", ["GET /x HTTP/1.1", "Host: [::1]:8080", "Connection: close"]),
    ],
)
def test_request_names_its_host_and_its_key(url: str, key: str | None, lines: list[str]) -> None:
    said = Origin.of(url, key).request("GET", "/x").decode().split("\r\n")
    assert said[:3] == lines
    assert said[3:] == ([f"Authorization: Bearer {key}"] if key else []) + ["", ""]
