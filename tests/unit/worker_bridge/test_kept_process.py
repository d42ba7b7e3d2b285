"""A kept program: real processes of a shell."""

import asyncio
import os
from pathlib import Path

import pytest

from testing.processes import wait_until
from worker_bridge.kept_process import KeptProcess

STUBBORN = "trap '' TERM; echo x >> {file}; while :; do sleep 0.05; done"
HEEDS_SECOND = (
    "trap 'n=$((n+1)); [ $n -lt 2 ] || exit 0' TERM; echo x >> {file}; while :; do sleep 0.05; done"
)
POLITE = "trap 'echo bye >> {file}; exit 0' TERM; echo x >> {file}; while :; do sleep 0.05; done"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def kept(script: str, file: Path, stop_s: float = 10) -> KeptProcess:
    command = ["sh", "-c", script.format(file=file)]
    return KeptProcess("shell", command, {**os.environ, "LLAMAQ_TEST": "told"}, stop_s)


async def has_lines(file: Path, count: int) -> None:
    def has_come() -> bool:
        return file.exists() and len(file.read_text().splitlines()) >= count

    await asyncio.to_thread(wait_until, has_come)


async def test_program_that_ends_is_started_again(tmp_path: Path) -> None:
    process = kept("echo $LLAMAQ_TEST >> {file}", tmp_path / "f")
    running = asyncio.create_task(process.run())
    await has_lines(tmp_path / "f", 2)
    assert (tmp_path / "f").read_text() == "told\ntold\n"
    await process.stop()
    running.cancel()


async def test_program_ends_politely(tmp_path: Path) -> None:
    process = kept(POLITE, tmp_path / "f")
    running = asyncio.create_task(process.run())
    await has_lines(tmp_path / "f", 1)
    await process.stop()
    await running
    assert (tmp_path / "f").read_text() == "x\nbye\n"


async def test_program_that_does_not_end_is_killed(tmp_path: Path) -> None:
    process = kept(STUBBORN, tmp_path / "f", stop_s=0.1)
    running = asyncio.create_task(process.run())
    await has_lines(tmp_path / "f", 1)
    await process.stop()
    await asyncio.wait_for(running, 5)


async def test_hurry_sends_a_second_signal(tmp_path: Path) -> None:
    process, hurry = kept(HEEDS_SECOND, tmp_path / "f"), asyncio.Event()
    running = asyncio.create_task(process.run())
    await has_lines(tmp_path / "f", 1)
    stopping = asyncio.create_task(process.stop(hurry))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(stopping), 0.3)
    hurry.set()
    await asyncio.wait_for(stopping, 4)
    await running


async def test_stop_during_the_pause_before_a_restart_starts_nothing_more(tmp_path: Path) -> None:
    process = kept("echo x >> {file}", tmp_path / "f")
    running = asyncio.create_task(process.run())
    await has_lines(tmp_path / "f", 1)
    await process.stop()
    await asyncio.wait_for(running, 5)
    assert (tmp_path / "f").read_text() == "x\n"


async def test_program_that_can_not_be_started_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        await KeptProcess("nothing", ["/no/such/program"], {}, 1).run()


async def test_program_that_is_held_starts_again_at_once_when_it_may(tmp_path: Path) -> None:
    process = kept(POLITE, tmp_path / "f")
    running = asyncio.create_task(process.run())
    await has_lines(tmp_path / "f", 1)
    await process.hold()
    assert (process.is_held, process.ended.is_set()) == (True, False)
    assert (tmp_path / "f").read_text() == "x\nbye\n"
    process.go_on()
    await has_lines(tmp_path / "f", 3)
    await process.stop()
    await running
    assert (tmp_path / "f").read_text() == "x\nbye\nx\nbye\n"


async def test_program_that_is_held_can_be_stopped(tmp_path: Path) -> None:
    process = kept(POLITE, tmp_path / "f")
    await process.hold()
    running = asyncio.create_task(process.run())
    await asyncio.sleep(0)
    await process.stop()
    await asyncio.wait_for(running, 5)
    assert not (tmp_path / "f").exists()
