"""Why the embedded server ended right after its start: a real one on broken files."""

import asyncio
import os
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import click
import pytest
from redis import Redis

from llamaq.embedded_redis import EmbeddedRedis, ListenAddress, find_server, plan, prepare
from llamaq.redis_start import wait_for_start, why_it_ended
from worker_bridge.kept_process import KeptProcess

pytestmark = pytest.mark.real


@pytest.fixture
def server(tmp_path: Path) -> EmbeddedRedis:
    planned = plan(find_server(), tmp_path / "a b", listen=None, password=None)
    prepare(planned)
    return planned


@asynccontextmanager
async def started(server: EmbeddedRedis) -> AsyncIterator[KeptProcess]:
    process = KeptProcess("redis", server.command, os.environ, 5)
    running = asyncio.create_task(process.run())
    try:
        await wait_for_start(server, process, 10)
        yield process
    finally:
        await process.stop()
        running.cancel()


async def fill(server: EmbeddedRedis) -> Path:
    """Keeps some keys; returns the file that they are in."""
    async with started(server):
        with Redis.from_url(server.url) as client:
            for number in range(100):
                client.set(f"key{number}", "x" * 50)
    (kept,) = (server.config_path.parent / "appendonlydir").glob("*.incr.aof")
    return kept


async def repair(command: str) -> None:
    shell = await asyncio.create_subprocess_shell(command, stdin=PIPE, stdout=PIPE)
    said, _ = await shell.communicate(b"y\n")
    assert b"Successfully truncated" in said


async def test_broken_queue_is_told_at_once_with_a_command_that_repairs_it(
    server: EmbeddedRedis,
) -> None:
    kept = await fill(server)
    content = bytearray(kept.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 20] = b"x" * 20
    kept.write_bytes(content)
    with pytest.raises(click.ClickException, match="Bad file format") as told:
        async with started(server):
            pass
    assert "can't read the queue" in told.value.message
    (command,) = (line for line in told.value.message.splitlines() if "--fix" in line)
    await repair(command)
    async with started(server):
        with Redis.from_url(server.url) as client:
            assert 0 < client.dbsize() < 100


async def test_broken_manifest_is_told(server: EmbeddedRedis) -> None:
    kept = await fill(server)
    (kept.parent / "appendonly.aof.manifest").write_text("junk\n")
    with pytest.raises(click.ClickException, match="Invalid AOF manifest") as told:
        async with started(server):
            pass
    assert f"move {kept.parent} away" in told.value.message


async def test_reason_is_not_that_of_an_earlier_start(tmp_path: Path) -> None:
    listen = ListenAddress("192.0.2.1", 6399)
    server = plan(find_server(), tmp_path, listen=listen, password="x")
    prepare(server)
    server.log_path.write_text("1:M 26 Nov 2026 16:27:53.068 # Bad file format reading the AOF\n")
    with pytest.raises(click.ClickException, match="ended right after its start") as told:
        async with started(server):
            pass
    assert "192.0.2.1:6399" in told.value.message
    assert "Bad file format" not in told.value.message


def test_without_a_reason_the_log_is_named(server: EmbeddedRedis) -> None:
    warning = "1:M 26 Nov 2026 16:27:53.068 # WARNING Memory overcommit must be enabled!\n"
    assert str(server.log_path) in why_it_ended(warning, server)
