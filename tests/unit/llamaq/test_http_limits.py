"""What a connection may cost: the bytes of a client against a protocol without a socket."""

import asyncio
from collections.abc import Callable

import pytest
from starlette.types import Receive, Scope, Send
from uvicorn import Config
from uvicorn.server import ServerState

from llamaq.http_limits import BODY_S, HEAD_S, MOST_HEAD_BYTES, BoundedProtocol, close_stale
from tests.unit.llamaq.wire import Wire

HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: llamaq\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


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


class Server:
    """Connections of one server."""

    def __init__(self) -> None:
        self.config = Config(count, log_config=None)
        self.config.load()
        self.state = ServerState()

    def connect(
        self, kind: type[BoundedProtocol] = BoundedProtocol
    ) -> tuple[BoundedProtocol, Wire]:
        protocol, wire = kind(self.config, self.state, {}), Wire()
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


async def test_who_sends_nothing_or_half_a_request_is_left_in_the_end() -> None:
    server, now = Server(), asyncio.get_running_loop().time()
    silent, half, slow, fine = (server.connect() for _ in range(4))
    half[0].data_received(HEAD)
    slow[0].data_received(HEAD + b"Content-Length: 5\r\n\r\n1")
    fine[0].data_received(HEAD + b"Content-Length: 1\r\n\r\n1")
    close_stale(server.state.connections, now + HEAD_S - 1)
    assert all(wire.is_open for _, wire in (silent, half, slow, fine))
    close_stale(server.state.connections, now + HEAD_S + 1)
    assert [wire.is_open for _, wire in (silent, half, slow, fine)] == [False, False, True, True]
    close_stale(server.state.connections, now + BODY_S + 1)
    assert not slow[1].is_open
    assert fine[1].is_open  # its answer is being made


async def test_more_connections_than_can_be_kept_get_only_what_asks_for_life() -> None:
    class Small(BoundedProtocol):
        most_connections = 1

    server = Server()
    server.connect(Small)
    for path, status in ((b"/health", b"200"), (b"/v1/models", b"503")):
        protocol, wire = server.connect(Small)
        protocol.data_received(b"GET %b HTTP/1.1\r\nHost: llamaq\r\n\r\n" % path)
        await asyncio.sleep(0.01)
        assert wire.sent.startswith(b"HTTP/1.1 " + status)
