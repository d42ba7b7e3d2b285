"""A program that is kept alive: started again when it ends, with growing pauses, until stopped."""

import asyncio
import ctypes
import logging
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

from worker_bridge.last_words import LastWords

log = logging.getLogger("llamaq.process")

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 30.0
_PR_SET_PDEATHSIG = 1  # prctl(2)
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None  # loaded before any fork
_OWN_GROUP = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)  # Windows' start_new_session
_STEADY_S = 60.0  # a program that ran longer starts again after the first pause

ORPHANED = getattr(signal, "SIGUSR1", signal.SIGTERM)
"""Tells a process of llamaq that its parent was killed: no time is left for answers."""


class KeptProcess:
    """One program. It gets no signal from the terminal: `stop` ends it.

    On Linux it also ends when this process is killed: it then gets the signal `orphaned`.

    It gets `environment`, and of this process only the descriptors `inherited`.
    It `is_held` from `hold` to `go_on`: it does not run then.
    `stop_s` is how long it may take to end politely. `ended` is set as soon as it has ended by
    itself. Its stderr goes through `last_words`, if set. `advice` is logged where it ends soon
    after its start.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        stop_s: float,
        orphaned: signal.Signals = signal.SIGTERM,
        *,
        inherited: Sequence[int] = (),
    ) -> None:
        self.name = name
        self.last_words: LastWords | None = None
        self.advice = ""
        self.ended = asyncio.Event()
        self._command = command
        self._environment = environment
        self._stop_s = stop_s
        self._orphaned = orphaned
        self._inherited = inherited
        self._process: asyncio.subprocess.Process | None = None
        self._starting = asyncio.Lock()
        self._stopping = False
        self._wanted = asyncio.Event()
        self._wanted.set()

    @property
    def is_held(self) -> bool:
        """Whether it must not run for now."""
        return not self._wanted.is_set()

    async def run(self, before: Callable[[], Awaitable[None]] | None = None) -> None:
        """Starts the program, again and again; returns when it has ended after `stop`.

        Each start waits until `before` returns.
        Raises `OSError` where it can't be started at all.
        """
        pause_s = _FIRST_PAUSE_S
        while await self._is_wanted():
            if before is not None:
                await before()
            started = time.monotonic()
            process = await self._start()
            code = None if process is None else await process.wait()
            if code is None or self._stopping or self.is_held:
                continue
            self.ended.set()
            was_steady = time.monotonic() - started > _STEADY_S
            pause_s = _FIRST_PAUSE_S if was_steady else pause_s
            end = _in_words(code) + ("" if was_steady else self.advice)
            log.warning("%s %s; it starts again in %s s", self.name, end, pause_s)
            await asyncio.sleep(pause_s)
            pause_s = min(_LONGEST_PAUSE_S, pause_s * 2)

    async def _is_wanted(self) -> bool:
        await self._wanted.wait()
        return not self._stopping

    async def _start(self) -> asyncio.subprocess.Process | None:
        """Starts the program, unless it was stopped or held meanwhile."""
        async with self._starting:  # a program in the middle of its start can't be signalled
            if self._stopping or self.is_held:
                return None
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stderr=None if self.last_words is None else asyncio.subprocess.PIPE,
                env=self._environment,
                start_new_session=True,
                creationflags=_OWN_GROUP,
                pass_fds=self._inherited,
                preexec_fn=_ending_with_parent(self._orphaned),
            )
            self._process = process
        if self.last_words is not None and process.stderr is not None:
            self.last_words.follow(process.stderr)
        log.info("started %s pid=%s", self.name, process.pid)
        return process

    async def hold(self) -> None:
        """Ends the program as `stop` does, until `go_on`."""
        self._wanted.clear()
        await self._end(None)

    def go_on(self) -> None:
        """Lets a program that was held start again."""
        self._wanted.set()

    def kill(self) -> None:
        """Ends the program at once; `run` starts it again."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def stop(self, hurry: asyncio.Event | None = None) -> None:
        """Ends the program: politely, and for good after `stop_s`, or when `hurry` is set.

        A program that heeds a second SIGTERM, as `hurry` sends it, gets 5 s more.
        """
        self._stopping = True
        self._wanted.set()
        await self._end(hurry)

    async def _end(self, hurry: asyncio.Event | None) -> None:
        async with self._starting:
            process = self._process
        if process is None or process.returncode is not None:
            return
        process.send_signal(signal.SIGTERM)
        ended = asyncio.create_task(process.wait())
        waits = {ended} | ({asyncio.create_task(hurry.wait())} if hurry else set())
        await asyncio.wait(waits, timeout=self._stop_s, return_when=asyncio.FIRST_COMPLETED)
        if not ended.done() and hurry is not None:
            process.send_signal(signal.SIGTERM)
            await asyncio.wait({ended}, timeout=5)
        if not ended.done():
            process.kill()
        await ended


async def run_once(command: Sequence[str], handed: bytes) -> int:
    """Runs a program to its end; returns its exit code. `handed` is its standard input.

    It has the environment of this process. It gets no signal from the terminal. It is killed when
    this is cancelled, and on Linux when this process is killed.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        start_new_session=True,
        creationflags=_OWN_GROUP,
        preexec_fn=_ending_with_parent(signal.SIGKILL),
    )
    try:
        await process.communicate(handed)
        return await process.wait()
    finally:
        if process.returncode is None:
            process.kill()


def _in_words(code: int) -> str:
    """How a program has ended.

    >>> _in_words(-9)
    'was killed (SIGKILL)'
    """
    if code >= 0:
        return f"ended with code {code}"
    try:
        return f"was killed ({signal.Signals(-code).name})"
    except ValueError:
        return f"was killed (signal {-code})"


def _ending_with_parent(number: signal.Signals) -> Callable[[], None] | None:
    """Runs in the child before the program: the system will signal it when its parent dies."""
    if _libc is None:
        return None
    return partial(_libc.prctl, _PR_SET_PDEATHSIG, number)
