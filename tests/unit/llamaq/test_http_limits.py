"""What a connection may cost: the bytes of a client against a protocol without a socket."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send
from uvicorn import Config
from uvicorn.server import ServerState

from llamaq.http_answers import BODY_BYTES_S, MOST_HEAD_BYTES, MOST_HEADERS
from llamaq.http_limits import (
    BODY_GRACE_S,
    BODY_S,
    HEAD_S,
    UNREAD_S,
    BoundedProtocol,
    look_at_all,
)
from llamaq.places import Places
from testing.wire import Wire

HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: llamaq\r\n"
WHOLE = HEAD + b"Content-Length: 1\r\n\r\n1"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


async def count(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the size of the body."""
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    body = b"%d" % size
    head = {"status": 200, "headers": [(b"content-length", b"%d" % len(body))]}
    await send({"type": "http.response.start", **head})
    await send({"type": "http.response.body", "body": body})


async def until_left(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers nothing as long as its client is there."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def leave(*connections: Any) -> None:
    for connection in connections:
        connection.connection_lost(None)
    await asyncio.sleep(0.01)


class Server:
    """Connections of one server."""

    def __init__(self) -> None:
        self.config = Config(count, log_config=None)
        self.config.load()
        self.state = ServerState()

    def connect(
        self, kind: type[BoundedProtocol] = BoundedProtocol, host: str = "127.0.0.1"
    ) -> tuple[BoundedProtocol, Wire]:
        protocol, wire = kind(self.config, self.state, {}), Wire(host)
        protocol.connection_made(wire)
        return protocol, wire


async def send_until_closed(piece: bytes, send: Callable[[bytes], None], wire: Wire) -> int:
    """Sends the piece again and again; returns how many bytes that were."""
    sent = 0
    while wire.is_open and sent < 10 * MOST_HEAD_BYTES:
        send(piece)
        sent += len(piece)
        await asyncio.sleep(0)
    return sent


@pytest.mark.parametrize("piece", [b"a: b\r\n", b"x" * 1000])
async def test_headers_without_an_end_are_refused(piece: bytes) -> None:
    """At d26fdb4 (M3) one header of 40 MB was read to its end, and kept all others waiting."""
    protocol, wire = Server().connect()
    protocol.data_received(HEAD + b"a: ")
    sent = await send_until_closed(piece, protocol.data_received, wire)
    assert sent <= MOST_HEAD_BYTES + len(piece)
    assert wire.sent.startswith(b"HTTP/1.1 431 ")


async def test_trailers_without_an_end_close_the_connection() -> None:
    protocol, wire = Server().connect()
    protocol.data_received(CHUNKED + b"100000\r\n" + b"x" * 0x100000 + b"\r\n0\r\n")
    sent = await send_until_closed(b"a: b\r\n", protocol.data_received, wire)
    assert sent <= MOST_HEAD_BYTES + 10


async def test_body_in_pieces_of_one_byte_is_read() -> None:
    protocol, wire = Server().connect()
    protocol.data_received(CHUNKED)
    for _ in range(MOST_HEAD_BYTES):
        protocol.data_received(b"1\r\nx\r\n")
    protocol.data_received(b"0\r\n\r\n")
    await asyncio.sleep(0.01)
    assert wire.sent.endswith(b"\r\n\r\n%d" % MOST_HEAD_BYTES)


@pytest.mark.parametrize("count", [MOST_HEADERS, MOST_HEADERS + 1])
async def test_more_headers_than_anybody_sends_are_refused(count: int) -> None:
    protocol, wire = Server().connect()
    protocol.data_received(HEAD + b"Content-Length: 1\r\n" + b"a: b\r\n" * (count - 2) + b"\r\n1")
    await asyncio.sleep(0.01)
    assert wire.sent.startswith(b"HTTP/1.1 431 ") == (count > MOST_HEADERS)
    assert wire.sent.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("size", [MOST_HEAD_BYTES - 100, MOST_HEAD_BYTES + 1])
async def test_large_headers_and_a_large_body_in_one_piece_are_told_apart(size: int) -> None:
    protocol, wire = Server().connect()
    head = HEAD + b"Content-Length: 200000\r\na: " + b"x" * (size - len(HEAD)) + b"\r\n\r\n"
    protocol.data_received(head + b"x" * 200_000)
    await asyncio.sleep(0.01)
    if size > MOST_HEAD_BYTES:
        assert wire.sent.startswith(b"HTTP/1.1 431 ")
        assert not wire.is_open
    else:
        assert wire.sent.endswith(b"\r\n\r\n200000")


async def test_who_sends_nothing_or_half_a_request_is_left_in_the_end() -> None:
    """At d26fdb4 (M3) 3,000 half-sent requests stayed open."""
    server, now = Server(), asyncio.get_running_loop().time()
    silent, half, fine = (server.connect() for _ in range(3))
    half[0].data_received(HEAD)
    fine[0].data_received(HEAD + b"Content-Length: 1\r\n\r\n1")
    look_at_all(server.state.connections, now + HEAD_S - 1)
    assert all(wire.is_open for _, wire in (silent, half, fine))
    half[0].data_received(b"a: b\r\n")  # it gets no more time for that
    look_at_all(server.state.connections, now + HEAD_S + 1)
    assert not silent[1].is_open
    assert silent[1].sent == b""
    assert not half[1].is_open
    assert half[1].sent.startswith(b"HTTP/1.1 408 ")
    look_at_all(server.state.connections, now + BODY_S + 1)
    assert fine[1].is_open  # its answer is being made


@pytest.mark.parametrize(
    ("come_bytes", "after_s", "is_left"),
    [
        (1, BODY_GRACE_S - 1, False),
        (10, BODY_GRACE_S + 1, True),  # a byte a second
        (60 * BODY_BYTES_S, 60.0, False),  # a slow line
        (60 * BODY_BYTES_S, 75.0, True),
        (2**21, BODY_S - 1, False),
        (2**21, BODY_S + 1, True),
    ],
)
async def test_body_has_time_for_as_much_as_has_come(
    come_bytes: int, after_s: float, is_left: bool
) -> None:
    server, now = Server(), asyncio.get_running_loop().time()
    protocol, wire = server.connect()
    protocol.data_received(HEAD + b"Content-Length: 9000000\r\n\r\n")
    await asyncio.sleep(0)
    protocol.data_received(b"x" * come_bytes)
    await asyncio.sleep(0.01)
    look_at_all(server.state.connections, now + after_s)
    await asyncio.sleep(0.01)
    assert wire.is_open != is_left
    assert wire.sent.startswith(b"HTTP/1.1 408 ") == is_left
    assert wire.sent.count(b"HTTP/1.1 ") == is_left
    if is_left:
        assert not protocol.tasks  # the app has heard of it


async def test_client_that_reads_nothing_is_left_and_one_that_reads_slowly_is_not() -> None:
    server, now = Server(), asyncio.get_running_loop().time()
    server.config.loaded_app = until_left
    silent, slow = server.connect(), server.connect()
    for protocol, _ in (silent, slow):
        protocol.data_received(WHOLE)
    for number in range(1, 40):
        for protocol, wire in (silent, slow):
            protocol.pause_writing()
            wire.unsent_bytes = 200_000
        slow[1].unsent_bytes -= number * 5 * BODY_BYTES_S
        look_at_all(server.state.connections, now + 5 * number)
        if not silent[1].is_open:
            break
    assert UNREAD_S <= 5 * number <= UNREAD_S + 10
    assert slow[1].is_open
    await leave(*server.state.connections)


async def test_client_whose_buffer_empties_now_and_then_is_not_left() -> None:
    server, now = Server(), asyncio.get_running_loop().time()
    server.config.loaded_app = until_left
    protocol, wire = server.connect()
    protocol.data_received(WHOLE)
    for number in range(1, 40):
        protocol.pause_writing()
        wire.unsent_bytes = 70_000
        look_at_all(server.state.connections, now + 5 * number)
        if number % 10 == 0:
            protocol.resume_writing()
    is_open = wire.is_open
    await leave(protocol)
    assert is_open


async def test_client_is_not_late_while_we_do_not_read() -> None:
    server, now = Server(), asyncio.get_running_loop().time()
    server.config.loaded_app = until_left
    protocol, wire = server.connect()
    protocol.data_received(WHOLE + HEAD + b"Content-Length: 10\r\n\r\n1")
    for number in range(1, 400):
        look_at_all(server.state.connections, now + 5 * number)
    assert wire.is_open
    protocol.flow.resume_reading()
    look_at_all(server.state.connections, now + 5 * number + BODY_GRACE_S)
    assert wire.is_open
    look_at_all(server.state.connections, now + 5 * number + BODY_GRACE_S + 1)
    assert not wire.is_open
    await leave(protocol)


async def test_large_answer_is_sent_to_its_end_though_its_connection_closes() -> None:
    server, now = Server(), asyncio.get_running_loop().time()
    protocol, wire = server.connect()
    protocol.data_received(HEAD + b"Connection: close\r\nContent-Length: 1\r\n\r\n1")
    await asyncio.sleep(0.01)
    assert not wire.is_open
    for number in range(1, 30):
        wire.unsent_bytes = 300_000 - number * 10_000
        look_at_all(server.state.connections, now + 5 * number)
        assert not wire.was_aborted


async def test_idle_connection_keeps_nothing_of_its_last_request() -> None:
    protocol, wire = Server().connect()
    protocol.data_received(HEAD + b"Content-Length: 5\r\na: " + b"x" * 60_000 + b"\r\n\r\n12345")
    await asyncio.sleep(0.01)
    assert wire.sent.endswith(b"5")
    assert (protocol.headers, protocol.scope, protocol.cycle.response_complete) == (
        None,
        None,
        True,
    )
    assert protocol.timeout_keep_alive_task is not None


async def test_request_behind_one_that_is_served_does_not_hide_that_the_client_left() -> None:
    """uvicorn tells the last request that was read, and not the one that is served."""
    server = Server()
    server.config.loaded_app = until_left
    protocol, _ = server.connect()
    protocol.data_received(WHOLE + WHOLE)
    await asyncio.sleep(0.01)
    assert len(protocol.tasks) == 1
    await leave(protocol)
    assert not protocol.tasks


async def test_more_connections_than_can_be_kept_get_only_what_asks_for_life() -> None:
    class Small(BoundedProtocol):
        places = Places(1)

    server = Server()
    server.connect(Small)
    for path, status in ((b"/health", b"200"), (b"/v1/models", b"503")):
        protocol, wire = server.connect(Small)
        protocol.data_received(b"GET %b HTTP/1.1\r\nHost: llamaq\r\n\r\n" % path)
        await asyncio.sleep(0.01)
        assert wire.sent.startswith(b"HTTP/1.1 " + status)
