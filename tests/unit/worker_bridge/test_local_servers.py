"""What answers on the ports where llama-servers listen is named by its answer to /props alone."""

import asyncio
import logging
import socket
from pathlib import Path

import pytest

from testing.impostors import (
    LLAMAQ,
    LM_STUDIO,
    LOADING,
    LOCKED,
    ODD,
    OLLAMA,
    OPEN_WEBUI,
    ROUTER,
    VLLM,
    WEB,
    Pages,
    port_of,
    serving,
)
from testing.waiting import until
from worker_bridge import finder, local_servers, port_owner
from worker_bridge.local_servers import Seen, look_around
from worker_bridge.port_owner import owners_of

HEALTHY: Pages = {"/props": (200, {"total_slots": 1, "default_generation_settings": {}})}


async def seen_at(url: str) -> Seen:
    (seen,) = await look_around([port(url)])
    return seen


def port(url: str) -> int:
    return int(url.rpartition(":")[2])


@pytest.mark.parametrize(
    ("pages", "what"),
    [
        (HEALTHY, "a llama-server"),
        (LOADING, "a llama-server that loads its model"),
    ],
)
async def test_llama_server_is_found(pages: Pages, what: str) -> None:
    async with serving(pages) as url:
        seen = await seen_at(url)
    assert (seen.is_server, seen.what, seen.url) == (True, what, url)


@pytest.mark.parametrize(
    ("pages", "what"),
    [
        (OLLAMA, "a Go server such as an Ollama, not a llama-server"),
        (VLLM, "a Python server such as a vLLM, not a llama-server"),
        (ROUTER, "a llama-server router: give each model a llama-server of its own"),
        (LOCKED, "a llama-server that wants a key: set LLAMAQ_SERVER_KEY, and name it: --server"),
        (LM_STUDIO, "an LM Studio, not a llama-server"),
        (OPEN_WEBUI, "the web page 'Open WebUI', not a llama-server"),
        (LLAMAQ, "the API of a llamaq, not a llama-server"),
        (WEB, "a web server (GET /props: 404), not a llama-server"),
        (ODD, "a web server (GET /props: 200), not a llama-server"),
    ],
)
async def test_what_is_none_is_named(pages: Pages, what: str) -> None:
    async with serving(pages) as url:
        seen = await seen_at(url)
    assert not seen.is_server
    assert str(seen).startswith(f"{url} is {what}")
    assert str(seen).isprintable()


async def test_places_are_asked_at_once_and_the_silent_one_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(local_servers, "_LOOK_S", 0.2)
    heads: list[bytes] = []

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        await reader.read()
        writer.close()

    with socket.socket() as nobody:  # bound, but not listening
        nobody.bind(("127.0.0.1", 0))
        async with await asyncio.start_server(say_nothing, "127.0.0.1") as listener:
            ports = [port_of(listener)] * 8 + [nobody.getsockname()[1]]
            async with asyncio.timeout(30):
                seen = await look_around(ports)
    assert {each.what for each in seen} == {"no web server, not a llama-server"}
    assert (len(seen), len(heads)) == (8, 8)
    assert {head.partition(b" HTTP")[0] for head in heads} == {b"GET /props"}
    assert not any(b"authorization" in head.lower() for head in heads)


async def test_llama_server_of_another_user_is_not_served_unless_it_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(local_servers, "owners_of", lambda _: {12345})
    async with serving(HEALTHY) as url:
        seen = await seen_at(url)
    assert not seen.is_server
    assert f"of another user. If you trust it, name it: --server {url}" in str(seen)


async def test_owner_of_a_port_is_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    row = "  0: 0100007F:1F90 00000000:0000 {} 00000000:00000000 00:00000000 00000000 {} 0 77 1\n"
    table = tmp_path / "tcp"
    table.write_text("heading\n" + row.format("0A", 1000) + row.format("01", 5))
    monkeypatch.setattr(port_owner, "_TABLES", (str(table), str(tmp_path / "none")))
    assert owners_of(8080) == {1000}
    assert owners_of(8081) == set()


async def test_finder_begins_with_each_server_once_and_tells_of_others_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(finder, "_LOOK_EVERY_S", 0.01)
    looks: list[list[int]] = []
    there = {1: True, 2: False}

    async def look(ports: list[int]) -> list[Seen]:
        looks.append(ports)
        return [Seen(each, there[each], "…") for each in ports if each in there]

    monkeypatch.setattr(finder, "look_around", look)
    begun: list[str] = []
    looking = asyncio.create_task(finder.look_for_ever([1, 2, 3], begun.append))
    await until(lambda: len(looks) > 20)
    there[3] = True
    there[2] = True  # Ollama made room for a llama-server
    await until(lambda: len(begun) == 3)
    looking.cancel()
    assert begun[0] == "http://127.0.0.1:1"
    assert sum(1 in ports for ports in looks) == 1
    assert sum(2 in ports for ports in looks[:20]) < 8  # it is left alone for longer and longer
    assert caplog.text.count("http://127.0.0.1:2 is …") == 1
