"""`LLAMAQ_WAKE_COMMAND`: when it runs, how often, and what it is told. Real shells and Redis."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from api import wake
from api.directory import Directory
from api.wake import Waker, is_asleep, read_command, run_for
from dispatcher.connection import LinkedRedis
from dispatcher.errors import ModelUnavailable
from dispatcher.keys import MODELS
from dispatcher.model_state import ModelState
from dispatcher.tasks import cancel
from dispatcher.worker_state import WorkerState
from testing.waiting import until

UP = WorkerState("w", "http://server", "healthy", True, 2, 0, 2048, "b")
ASLEEP = ModelState("m", 3600, (), queued=1, queued_bytes=1)
ODD = "$(touch pwned); `touch pwned` '\"\n& {}"


def writes(path: Path) -> tuple[str, ...]:
    """A command that notes the model and all settings that it sees."""
    script = 'printf "%s|%s|" "$LLAMAQ_WAKE_MODEL" "$LLAMAQ_JWT_SECRET" >> "$0"'
    return "sh", "-c", script, str(path)


@asynccontextmanager
async def waking(*wakers: Waker) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(waker.run()) for waker in wakers]
    yield
    await until(lambda: not any(waker._running for waker in wakers))
    await cancel(tasks)


async def until_written(path: Path, times: int = 1) -> None:
    def is_written() -> bool:
        return path.exists() and path.read_text().count("|") >= 2 * times

    await until(is_written)


@pytest.mark.parametrize(
    ("workers", "asleep"),
    [
        ((), True),
        ((UP,), False),
        ((replace(UP, accepting=False, health="loading"),), False),
        ((replace(UP, server="", accepting=False, health="unloaded"),), False),
        ((replace(UP, health="down"),), True),
        ((replace(UP, drained_s=1), replace(UP, paused_until_s=1)), True),
        ((replace(UP, drained_s=1), UP), False),
    ],
)
def test_when_a_model_is_asleep(workers: tuple[WorkerState, ...], asleep: bool) -> None:
    assert is_asleep(replace(ASLEEP, workers=workers)) == asleep
    assert not is_asleep(replace(ASLEEP, workers=workers, queued=0))


@pytest.mark.real
@pytest.mark.parametrize("redis_url", ["real"], indirect=True)
async def test_one_api_of_several_runs_it_once_and_no_shell_sees_the_name(
    redis: LinkedRedis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wake, "_LOOK_S", 0.05)
    monkeypatch.setattr(wake, "_NOTICE_S", 0.1)
    monkeypatch.setattr(wake, "_EVERY_S", 0.5)
    monkeypatch.setenv("LLAMAQ_JWT_SECRET", "secret")
    monkeypatch.chdir(tmp_path)
    note = tmp_path / "note"
    models = {ODD: replace(ASLEEP, model=ODD), "up": replace(ASLEEP, model="up", workers=(UP,))}
    began = time.monotonic()
    async with waking(*(Waker(writes(note), redis, lambda: models) for _ in range(3))):
        await until_written(note)
        await until_written(note, times=2)
        models.clear()
    took_s = time.monotonic() - began
    assert note.read_text() == f"{ODD}||" * 2
    assert took_s >= 0.5
    assert os.listdir(tmp_path) == ["note"]


async def test_command_has_a_time_limit_and_ends_with_all_that_it_started(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level("INFO", "llamaq.wake")
    note = tmp_path / "note"
    script = f"echo $$ > {note}; sleep 60 & echo $! >> {note}; wait"
    await run_for(("sh", "-c", script), "m", longest_s=0.5)
    assert "is killed: it ran for 0.5 s" in caplog.text
    started = note.read_text().split()
    await until(lambda: not any(map(_lives, started)))


def _lives(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_what_it_says_is_logged_but_not_all_of_it_and_never_raw(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "llamaq.wake")
    script = (
        r"printf 'a\033[2J\n'; i=0; while [ $i -lt 5000 ]; do echo line; i=$((i+1)); done; exit 3"
    )
    await run_for(("sh", "-c", script), "m\x1b", longest_s=10)
    said = [record.getMessage() for record in caplog.records]
    assert said[0].startswith("jobs of the model m_ wait and no worker is up")
    assert (said[1], len(said)) == ("LLAMAQ_WAKE_COMMAND for m_ says: a_[2J", 22)
    assert said[-1] == "LLAMAQ_WAKE_COMMAND for m_ ended with code 3"


@pytest.mark.parametrize("model", ["m", "nul\0"])
async def test_command_that_can_not_be_run_is_told(
    model: str, caplog: pytest.LogCaptureFixture
) -> None:
    await run_for(("/nonexistent" if model == "m" else "sh",), model, longest_s=5)
    assert "LLAMAQ_WAKE_COMMAND can't be run for the model" in caplog.text


@pytest.mark.parametrize(
    ("text", "said"), [("no-such-program x", "can't be found"), ("a 'b", "No closing")]
)
def test_bad_command_is_refused_at_the_start(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_command(text)


@pytest.mark.real
@pytest.mark.parametrize("redis_url", ["real"], indirect=True)
async def test_model_of_the_last_day_is_waited_for(redis: LinkedRedis) -> None:
    seconds, _ = await redis.time()
    await redis.zadd(MODELS, {"m": float(seconds) - 7200})
    directory = Directory(redis, grace_s=240)
    with pytest.raises(ModelUnavailable):
        await directory.require("m")
    directory.wakes = True
    assert await directory.require("m") == "m"
    assert not directory.given_up("m", waited_s=239)
