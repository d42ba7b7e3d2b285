"""Wakes machines: runs a command when jobs of a model wait and none of its workers is up."""

import asyncio
import logging
import os
import shlex
import shutil
import signal
import time
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from redis.exceptions import ResponseError

from dispatcher.beat import until_beat_s
from dispatcher.connection import LinkedRedis
from dispatcher.demand import begin_waking
from dispatcher.errors import RedisUnavailable
from dispatcher.model_state import ModelState
from dispatcher.row import printable
from dispatcher.settings import without_settings
from dispatcher.tasks import cancel, log_failure

log = logging.getLogger("llamaq.wake")

MODEL_VARIABLE = "LLAMAQ_WAKE_MODEL"
"""Tells the command which model is waited for."""

_LOOK_S = 1.0
_NOTICE_S = 2.0  # a bridge that starts again is away this long
_EVERY_S = 60.0
_LONGEST_S = 60.0
_REAP_S = 5.0
_TICK_S = 0.1
_MOST_AT_ONCE = 4
_MOST_LINES, _MOST_CHARS = 20, 300
_DOWN = "down"


def read_command(text: str) -> tuple[str, ...]:
    """The words of a command line; no shell sees them. Raises `ValueError`.

    >>> read_command("sh -c 'exit 0'")
    ('sh', '-c', 'exit 0')
    """
    words = tuple(shlex.split(text))
    if words and shutil.which(words[0]) is None:
        raise ValueError(f"the program {words[0][:80]!r} can't be found, or may not be run")
    return words


def is_asleep(state: ModelState) -> bool:
    """Whether jobs of the model wait, and no worker is up that could ever take them.

    One that is drained or paused, or whose server is down, is not up.
    """
    return state.queued > 0 and all(
        worker.rests or worker.health == _DOWN or not worker.is_understood
        for worker in state.workers
    )


class Waker:
    """Runs the command for one model not more often than once a minute, at one API of several.

    `models` tells what there is, a second old at most.
    """

    def __init__(
        self,
        command: Sequence[str],
        redis: LinkedRedis,
        models: Callable[[], Mapping[str, ModelState]],
    ) -> None:
        self._command = command
        self._redis = redis
        self._models = models
        self._asleep_since: dict[str, float] = {}
        self._running: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Looks once a second, for ever."""
        try:
            while True:
                await asyncio.sleep(until_beat_s(_LOOK_S))
                for model in self._due():
                    await self._wake(model)
        finally:
            await cancel(self._running.values())

    def _due(self) -> list[str]:
        now = time.monotonic()
        asleep = {name for name, state in self._models().items() if is_asleep(state)}
        self._asleep_since = {name: self._asleep_since.get(name, now) for name in asleep}
        due = [n for n, since in self._asleep_since.items() if now - since >= _NOTICE_S]
        return [name for name in sorted(due) if name not in self._running]

    async def _wake(self, model: str) -> None:
        if len(self._running) >= _MOST_AT_ONCE:
            return
        try:
            if not await begin_waking(self._redis.link, model, int(_EVERY_S * 1000)):
                return
        except (RedisUnavailable, ResponseError) as error:
            log.warning("The model %s can't be woken now: %s", printable(model), error)
            return
        task = asyncio.create_task(run_for(self._command, model, _LONGEST_S))
        self._running[model] = task
        task.add_done_callback(log_failure)
        task.add_done_callback(lambda _: self._running.pop(model, None))


async def run_for(command: Sequence[str], model: str, longest_s: float) -> None:
    """Runs the command to its end, or kills it after `longest_s`. Logs what it says."""
    named = printable(model)
    log.info("jobs of the model %s wait and no worker is up: LLAMAQ_WAKE_COMMAND runs", named)
    environment = without_settings(os.environ) | {MODEL_VARIABLE: model}
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            env=environment,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:  # a name may hold what no variable can
        log.error("LLAMAQ_WAKE_COMMAND can't be run for the model %s: %s", named, error)
        return
    following = asyncio.create_task(_follow(process, named))
    try:
        async with asyncio.timeout(longest_s):
            await _until_over(process, following)
        level = logging.ERROR if process.returncode else logging.INFO
        log.log(level, "LLAMAQ_WAKE_COMMAND for %s ended with code %s", named, process.returncode)
    except TimeoutError:
        log.error("LLAMAQ_WAKE_COMMAND for %s is killed: it ran for %g s", named, longest_s)
        _kill(process)
        with suppress(TimeoutError):  # the system may hold it up
            async with asyncio.timeout(_REAP_S):
                await _until_over(process, following)
    finally:
        _kill(process)
        await cancel([following])


async def _until_over(process: Process, following: asyncio.Task[None]) -> None:
    """Returns when the command has ended. Its children may go on, and keep its output open: in some
    Pythons `Process.wait` waits for them.
    """
    while process.returncode is None:  # noqa: ASYNC110
        await asyncio.sleep(_TICK_S)
    await asyncio.wait({following}, timeout=_TICK_S)


async def _follow(process: Process, named: str) -> None:
    """Writes its first lines into the log, and reads the others."""
    if process.stdout is None:
        return
    lines, rest = 0, b""
    while piece := await process.stdout.read(4096):
        *whole, rest = (rest + piece)[-65536:].split(b"\n")
        for line in whole[: max(0, _MOST_LINES - lines)]:
            _say(named, line)
        lines += len(whole)
    if rest and lines < _MOST_LINES:
        _say(named, rest)


def _say(named: str, line: bytes) -> None:
    text = printable(line[:_MOST_CHARS].decode(errors="replace").rstrip())
    log.info("LLAMAQ_WAKE_COMMAND for %s says: %s", named, text)


def _kill(process: Process) -> None:
    """With all that it has started; nothing where it has ended."""
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
