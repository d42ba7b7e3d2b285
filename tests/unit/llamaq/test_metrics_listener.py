"""The address where Prometheus needs no token."""

import asyncio
import socket
from collections.abc import AsyncIterator

import click
import httpx
import pytest

from llamaq import metrics_listener
from llamaq.metrics_listener import answering, listen_for_scrapes
from testing.processes import free_port

TEXT = b"a_total 1\n"


async def told(accept: str) -> tuple[bytes, str]:
    if accept == "application/fail":
        raise RuntimeError("no figures")
    return TEXT, f"text/plain; asked={accept}"


@pytest.fixture
async def port() -> AsyncIterator[int]:
    sockets = listen_for_scrapes(f"127.0.0.1:{free_port()}")
    async with answering(sockets, told):
        yield int(sockets[0].getsockname()[1])


@pytest.fixture
async def client(port: int) -> AsyncIterator[httpx.AsyncClient]:
    url = f"http://127.0.0.1:{port}"
    async with httpx.AsyncClient(base_url=url, headers={"accept": "text/plain"}) as client:
        yield client


async def test_metrics_are_told_as_they_are_asked_for(client: httpx.AsyncClient) -> None:
    found = await client.get("/metrics?name=a")
    assert (found.status_code, found.content) == (200, TEXT)
    assert found.headers["content-type"] == "text/plain; asked=text/plain"
    found = await client.head("/metrics")
    assert (found.status_code, found.headers["content-length"]) == (200, str(len(TEXT)))


async def test_nothing_else_is_there(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/models")).status_code == 404
    assert (await client.post("/metrics")).status_code == 405
    found = await client.get("/metrics", headers={"accept": "application/fail"})
    assert (found.status_code, b"figures" in found.content) == (500, False)


async def test_those_who_say_nothing_or_too_much_hold_up_nobody(
    port: int, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_listener, "_MOST_S", 0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    large, much = await asyncio.open_connection("127.0.0.1", port)
    much.write(b"GET /metrics HTTP/1.1\r\nA: " + bytes(20_000))
    assert (await client.get("/metrics")).status_code == 200
    assert await reader.read() == b""
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await large.readexactly(1)
    for each in (writer, much):
        each.close()


async def test_there_is_room_for_so_many(
    port: int, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_listener, "_MOST_CONNECTIONS", 1)
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    await asyncio.sleep(0)
    with pytest.raises(httpx.RemoteProtocolError):
        await client.get("/metrics")
    writer.close()


def test_an_address_that_is_taken_is_told_with_its_option() -> None:
    taken = socket.create_server(("127.0.0.1", 0))
    told = pytest.raises(click.ClickException, match="choose another with --metrics-listen")
    with taken, told:
        listen_for_scrapes(f"127.0.0.1:{taken.getsockname()[1]}")
    assert listen_for_scrapes("") == []
