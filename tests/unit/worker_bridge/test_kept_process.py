"""A kept program: real processes of a shell."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from testing.waiting import until
from worker_bridge.kept_process import KeptProcess

STUBBORN = "trap '' TERM; echo x >> {file}; while :; do sleep 0.05; done"
HEEDS_SECOND = (
    "trap 'n=$((n+1)); echo $n >> {file}; [ $n -lt 2 ] || exit 0' TERM; echo x >> {file}; "
    "while :; do sleep 0.05; done"
)
POLITE = "trap 'echo bye >> {file}; exit 0' TERM; echo x >> {file}; while :; do sleep 0.05; done"


def kept(script: str, file: Path, stop_s: float = 10) -> KeptProcess:
    command = ["sh", "-c", script.format(file=file)]
    return KeptProcess("shell", command, {**os.environ, "LLAMAQ_TEST": "told"}, stop_s)


async def has_lines(file: Path, count: int) -> None:
    def has_come() -> bool:
        return file.exists() and len(file.read_text().splitlines()) >= count

    await until(has_come)


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
    await asyncio.wait_for(running, 30)


async def test_hurry_sends_a_second_signal(tmp_path: Path) -> None:
    process, hurry = kept(HEEDS_SECOND, tmp_path / "f"), asyncio.Event()
    running = asyncio.create_task(process.run())
    await has_lines(tmp_path / "f", 1)
    stopping = asyncio.create_task(process.stop(hurry))
    await has_lines(tmp_path / "f", 2)  # two signals that wait together would be one
    assert not stopping.done()
    hurry.set()
    await stopping
    await running
    assert (tmp_path / "f").read_text() == "x\n1\n2\n"


async def test_program_that_is_stopped_in_its_start_is_killed_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = asyncio.create_subprocess_exec

    async def start_slowly(*command: str, **options: Any) -> asyncio.subprocess.Process:
        process = await start(*command, **options)
        await has_lines(tmp_path / "f", 1)
        return process

    monkeypatch.setattr(asyncio, "create_subprocess_exec", start_slowly)
    process = kept(STUBBORN, tmp_path / "f", stop_s=0.1)
    running = asyncio.create_task(process.run())
    await has_lines(tmp_path / "f", 1)
    await process.stop()
    await asyncio.wait_for(running, 30)


async def test_program_is_not_started_after_a_stop(tmp_path: Path) -> None:
    process = kept("echo x >> {file}", tmp_path / "f")
    await process.run(process.stop)
    assert not (tmp_path / "f").exists()


async def test_stop_during_the_pause_before_a_restart_starts_nothing_more(tmp_path: Path) -> None:
    process = kept("echo x >> {file}", tmp_path / "f")
    running = asyncio.create_task(process.run())
    await has_lines(tmp_path / "f", 1)
    await process.stop()
    await asyncio.wait_for(running, 30)
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
    await asyncio.wait_for(running, 30)
    assert not (tmp_path / "f").exists()
