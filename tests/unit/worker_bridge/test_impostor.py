"""What the bridge says of a server that is no llama-server: small HTTP servers in its place."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.unit.dispatcher.waiting import until
from worker_bridge.health import Health
from worker_bridge.impostor import look_behind
from worker_bridge.llama import LlamaServer
from worker_bridge.server_state import ServerState
from worker_bridge.service import _healthy

Pages = dict[str, tuple[int, Any]]

OLLAMA: Pages = {
    "/": (200, "Ollama is running"),
    "/v1/models": (200, {"object": "list", "data": [{"id": "llama3", "owned_by": "library"}]}),
}
VLLM: Pages = {
    "/health": (200, ""),
    "/version": (200, {"version": "0.11.0"}),
    "/v1/models": (200, {"object": "list", "data": [{"id": "qwen", "owned_by": "vllm"}]}),
}
ROUTER: Pages = {
    "/health": (200, {"status": "ok"}),
    "/props": (200, {"role": "router", "max_instances": 4, "build_info": "b9"}),
    "/v1/models": (200, {"data": [{"id": "qwen", "owned_by": "llamacpp"}]}),
}
LOCKED: Pages = {"/health": (200, {"status": "ok"}), "/props": (401, {"error": {}})}
OLD: Pages = {
    "/health": (200, {"status": "ok"}),
    "/props": (200, {}),
    "/v1/models": (200, {"data": [{"id": "qwen", "owned_by": "llamacpp"}]}),
}
SWAP: Pages = {"/v1/models": (200, {"data": [{"id": "qwen", "owned_by": "llama-swap"}, 7]})}
WEB: Pages = {"/": (200, "<html>Welcome")}
ODD: Pages = {"/": (200, "[]"), "/props": (200, [1]), "/v1/models": (200, {"data": 3})}


@asynccontextmanager
async def serving(pages: Mapping[str, tuple[int, Any]]) -> AsyncIterator[LlamaServer]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        status, page = pages.get(head.split(" ")[1], (404, ""))
        body = (page if isinstance(page, str) else json.dumps(page)).encode()
        length = f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(f"HTTP/1.1 {status} Status\r\n{length}".encode() + body)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1") as listener:
        port = listener.sockets[0].getsockname()[1]
        server = LlamaServer(f"http://127.0.0.1:{port}", None)
        yield server


@pytest.mark.parametrize(
    ("pages", "said"),
    [
        (OLLAMA, "it is an Ollama, not a llama-server"),
        (VLLM, "it is a vLLM, not a llama-server"),
        (ROUTER, "it is a llama-server router"),
        (LOCKED, "set LLAMAQ_SERVER_KEY"),
        (OLD, "use a newer llama-server"),
        (SWAP, "another server of the OpenAI API (owned_by 'llama-swap')"),
        (WEB, "a web server, but not a llama-server (GET /props: 404)"),
        (ODD, "a web server, but not a llama-server (GET /props: 200)"),
    ],
)
async def test_what_is_there_is_named_with_what_to_do(pages: Pages, said: str) -> None:
    async with serving(pages) as server:
        assert said in await look_behind(server)


async def test_server_that_breaks_off_is_told_too() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1") as listener:
        port = listener.sockets[0].getsockname()[1]
        server = LlamaServer(f"http://127.0.0.1:{port}", None)
        assert "does not answer as a web server" in await look_behind(server)


async def test_waiting_bridge_says_once_what_it_found_and_again_when_that_changes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("worker_bridge.service._FIRST_LOOK_S", 0.02)
    caplog.set_level(logging.INFO)
    pages = dict(OLLAMA)
    async with serving(pages) as server:
        state = ServerState(server.url)
        state.health = Health.MISCONFIGURED
        waiting = asyncio.create_task(_healthy(state, server))

        async def says(word: str) -> bool:
            return word in caplog.text

        await until(lambda: says("Ollama"))
        pages.clear()
        pages.update(WEB)
        await until(lambda: says("a web server"))
        waiting.cancel()
        await asyncio.wait([waiting])
    assert caplog.text.count("waiting for") == 2
    assert f"at {server.url}: misconfigured: it is an Ollama" in caplog.text
