"""How connections begin: at once, late, in pieces, or not at all."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from testing.processes import free_port
from tests.unit.worker_bridge.test_connection import OK, Told, server_that_says
from worker_bridge import connection as connections
from worker_bridge import plain_socket
from worker_bridge.connection import Connection, Origin
from worker_bridge.plain_socket import address_of

WHOLE = OK + b"2\r\nhi\r\n0\r\n\r\n"


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """The loop that bridges run on, and the one that they have where there is no other."""
    return "asyncio", {"use_uvloop": request.param}


def opened(url: str, told: Told, body: bytes = b"{}") -> Connection:
    origin = Origin.of(url, None)
    connection = Connection(origin, origin.request("POST", "/", body), told)
    connection.open()
    return connection


async def end_at(url: str, body: bytes = b"{}") -> list[str]:
    """What the reader is told at the end of a request to this URL."""
    told = Told()
    connection = opened(url, told, body)
    await asyncio.wait_for(told.ended.wait(), 30)
    connection.close()
    return told.end


@pytest.fixture
def full_port() -> Iterator[int]:
    """A port whose connections hang: nobody accepts them, and no more fit into its queue."""
    with closing(socket.socket()) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(listening.getsockname())
        yield listening.getsockname()[1]
        for each in waiting:
            each.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_nobody_is_there(host: str) -> None:
    (end,) = await end_at(f"http://{host}:{free_port()}")
    assert end.startswith("not reached: ")


async def test_name_is_looked_up() -> None:
    async with server_that_says(WHOLE) as url:
        assert await end_at(url.replace("127.0.0.1", "localhost")) == ["complete"]


async def test_name_that_is_none() -> None:
    (end,) = await end_at(f"http://{'x' * 64}.invalid:80")
    assert end.startswith("not reached: ")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_server_that_takes_no_connection_is_given_up(
    full_port: int, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plain_socket, "CONNECT_S", 0.05)
    monkeypatch.setattr(connections, "CONNECT_S", 0.05)
    assert await end_at(f"http://{host}:{full_port}") == ["not reached: TimeoutError"]


async def test_nothing_is_told_of_a_connection_that_was_closed_while_it_hung(
    full_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plain_socket, "CONNECT_S", 0.01)
    told = Told()
    opened(f"http://127.0.0.1:{full_port}", told).close()
    await asyncio.sleep(0.05)
    assert told.end == []


async def test_server_that_accepts_late_gets_the_request() -> None:
    with closing(socket.socket()) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        port = listening.getsockname()[1]
        others = [socket.socket() for _ in range(2)]
        for each in others:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        told = Told()
        connection = opened(f"http://127.0.0.1:{port}", told)
        assert told.end == []
        served: list[bytes] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            served.append(await reader.read(2**16))
            writer.write(WHOLE)
            writer.close()

        async with await asyncio.start_server(serve, sock=listening):
            for each in others:
                each.close()
            await asyncio.wait_for(told.ended.wait(), 30)
        connection.close()
    assert told.end == ["complete"]
    assert any(request.startswith(b"POST / ") for request in served)


async def test_large_body_leaves_in_pieces() -> None:
    body, got = bytes(range(256)) * 2**15, bytearray()  # 8 MiB

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        got.extend(await reader.readexactly(len(body)))
        writer.write(WHOLE)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert await end_at(f"http://127.0.0.1:{port}", body) == ["complete"]
    assert got == body


async def test_refusal_of_a_body_that_was_not_read_is_heard() -> None:
    refusal = b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"
    told, served = Told(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(refusal)
        await told.ended.wait()
        writer.close()
        await asyncio.sleep(0)
        served.set()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        connection = opened(url, told, bytes(2**23))
        await asyncio.wait_for(served.wait(), 30)
        connection.close()
    assert (told.status, told.body, told.end) == (413, b"no", ["complete"])


async def test_address_of_version_6() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(WHOLE)
        writer.close()

    try:
        server = await asyncio.start_server(serve, "::1", 0)
    except OSError:
        pytest.skip("this machine has no IPv6")
    async with server:
        assert await end_at(f"http://[::1]:{server.sockets[0].getsockname()[1]}") == ["complete"]


@pytest.mark.parametrize("host", ["", "localhost", "worker-1", "fe80::1%eth0", "1.2.3"])
def test_only_a_number_is_an_address(host: str) -> None:
    assert address_of(host, 80) is None
