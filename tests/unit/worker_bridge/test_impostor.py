"""What the bridge says of a server that is no llama-server: small HTTP servers in its place."""

import asyncio
import logging

import pytest

from testing.impostors import (
    LLAMAQ,
    LM_STUDIO,
    LOCKED,
    ODD,
    OLD,
    OLLAMA,
    ROUTER,
    SWAP,
    VLLM,
    WEB,
    Pages,
    port_of,
    serving,
)
from testing.waiting import until
from worker_bridge.awaited_server import until_healthy
from worker_bridge.health import Health
from worker_bridge.impostor import look_behind
from worker_bridge.kept_process import KeptProcess
from worker_bridge.llama import LlamaServer
from worker_bridge.server_state import ServerState


@pytest.mark.parametrize(
    ("pages", "said"),
    [
        (OLLAMA, "it is an Ollama, not a llama-server"),
        (VLLM, "it is a vLLM, not a llama-server"),
        (ROUTER, "it is a llama-server router"),
        (LOCKED, "set LLAMAQ_SERVER_KEY"),
        (OLD, "use a newer llama-server"),
        (SWAP, "another server of the OpenAI API (owned_by 'llama-swap')"),
        (LLAMAQ, "it is the API of a llamaq, not a llama-server"),
        (LM_STUDIO, "it is an LM Studio, not a llama-server"),
        (WEB, "a web server, but not a llama-server (GET /props: 404)"),
        (ODD, "a web server, but not a llama-server (GET /props: 200)"),
    ],
)
async def test_what_is_there_is_named_with_what_to_do(pages: Pages, said: str) -> None:
    async with serving(pages) as url:
        assert said in await look_behind(LlamaServer(url, None))


async def test_server_that_breaks_off_is_told_too() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1") as listener:
        server = LlamaServer(f"http://127.0.0.1:{port_of(listener)}", None)
        assert "does not answer as a web server" in await look_behind(server)


async def test_waiting_bridge_says_once_what_it_found_and_again_when_that_changes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("worker_bridge.awaited_server._FIRST_PAUSE_S", 0.02)
    caplog.set_level(logging.INFO)
    pages = dict(OLLAMA)
    async with serving(pages) as url:
        server = LlamaServer(url, None)
        state = ServerState(server.url)
        state.health = Health.MISCONFIGURED
        waiting = asyncio.create_task(until_healthy(state, server))

        await until(lambda: "Ollama" in caplog.text)
        pages.clear()
        pages.update(WEB)
        await until(lambda: "a web server" in caplog.text)
        waiting.cancel()
        await asyncio.wait([waiting])
    assert caplog.text.count("waiting for") == 2
    assert f"at {server.url}: misconfigured: it is an Ollama" in caplog.text


@pytest.mark.parametrize("is_held", [False, True])
async def test_who_waits_for_a_model_hears_how_long_it_takes(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, is_held: bool
) -> None:
    """A pause of its machine's owner may last for hours, of which it says nothing."""
    caplog.set_level("INFO", "llamaq.bridge")
    monkeypatch.setattr("worker_bridge.awaited_server._FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr("worker_bridge.awaited_server._TOLD_AGAIN_S", 0.02)
    monkeypatch.setattr("worker_bridge.awaited_server._LONGEST_PAUSE_S", 0.02)
    server = LlamaServer("http://127.0.0.1:1", None)
    state = ServerState(server.url)
    process = KeptProcess("llama-server", ["sleep"], {}, 1)
    if is_held:
        await process.hold()
    state.health = Health.DOWN
    waiting = asyncio.create_task(until_healthy(state, server, process))

    async def has_said(count: int) -> bool:
        return caplog.text.count("waiting for") >= count

    await until(lambda: has_said(1 if is_held else 4))
    assert "http://127.0.0.1:1: it does not listen yet\n" in caplog.text
    assert ("it does not listen yet (0 s)\n" in caplog.text) is not is_held
    state.health = Health.LOADING
    await until(lambda: has_said(6))
    assert ": loading (0 s)\n" in caplog.text
    waiting.cancel()
    await asyncio.wait([waiting])
