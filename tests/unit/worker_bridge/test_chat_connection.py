"""Answers that break off, as a raw server can make them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import SplitResult, urlsplit

import pytest

from worker_bridge.chat_connection import ConnectionBroken, post


@asynccontextmanager
async def server_that_says(answer: bytes) -> AsyncIterator[SplitResult]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield urlsplit(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")


async def test_error_body_that_breaks_off_is_a_broken_connection() -> None:
    half = b"HTTP/1.1 500 Error\r\nContent-Length: 100\r\n\r\nhalf of it"
    async with server_that_says(half) as url:
        connection = await post(url, {}, b"{}")
        await connection.headers()
        assert connection.status == 500
        with pytest.raises(ConnectionBroken):
            await connection.body()


async def test_error_body_is_read_whole() -> None:
    async with server_that_says(b"HTTP/1.1 400 No\r\nContent-Length: 4\r\n\r\nwhat") as url:
        connection = await post(url, {}, b"{}")
        await connection.headers()
        assert await connection.body() == b"what"


async def test_events_before_the_break_are_seen_and_then_the_break() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with server_that_says(head + b"9\r\ndata: a\n\n\r\n") as url:
        connection = await post(url, {}, b"{}")
        await connection.headers()
        events = connection.events()
        assert await anext(events) == [b"data: a"]
        with pytest.raises(ConnectionBroken):
            await anext(events)


async def test_answer_that_is_not_http_is_a_broken_connection() -> None:
    async with server_that_says(b"SSH-2.0-nothing of ours\r\n") as url:
        connection = await post(url, {}, b"{}")
        with pytest.raises(ConnectionBroken):
            await connection.headers()
