"""Starts a llama-server for a bridge, restarts it when it dies, stops it after the bridge."""

import asyncio
import logging
import os
import signal
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass

log = logging.getLogger("llamaq.launcher")

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 30.0
_STEADY_S = 60.0  # a server that ran for so long starts again without a pause
_STOP_S = 5.0


@dataclass(frozen=True, slots=True)
class Launch:
    """A complete command line, the address it will answer at, and what to warn of."""

    command: tuple[str, ...]
    url: str
    warnings: tuple[str, ...]


def plan_launch(command: Sequence[str], free_port: int) -> Launch:
    """Adds a loopback host and a free port where the command names none.

    >>> plan_launch(["llama-server", "-m", "x.gguf", "-np", "4"], 9000).command[-4:]
    ('--host', '127.0.0.1', '--port', '9000')
    """
    host = _option(command, "--host")
    port = _option(command, "--port")
    added: list[str] = []
    if host is None:
        added += ["--host", "127.0.0.1"]
    if port is None:
        added += ["--port", str(free_port)]
    warnings = []
    if not any(_option(command, name) for name in ("--parallel", "-np")):
        warnings.append(
            "no --parallel N: llama-server then shares one context between 4 slots, and one long "
            "request can end all running ones; add --parallel 4, say"
        )
    reach = "127.0.0.1" if host in (None, "0.0.0.0", "::") else host  # noqa: S104
    url = f"http://{f'[{reach}]' if ':' in str(reach) else reach}:{port or free_port}"
    return Launch((*command, *added), url, tuple(warnings))


def find_free_port() -> int:
    """A TCP port of the loopback address that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class ServerProcess:
    """A llama-server that is kept alive. It gets no signal from the terminal: `stop` ends it."""

    def __init__(self, command: Sequence[str], key: str | None) -> None:
        self._command = command
        self._environment = {**os.environ, **({"LLAMA_API_KEY": key} if key else {})}
        self._process: asyncio.subprocess.Process | None = None

    async def run(self) -> None:
        """Starts it, and again whenever it ends, with growing pauses; raises `OSError` where it
        can't be started at all.
        """
        pause_s = _FIRST_PAUSE_S
        while True:
            started = time.monotonic()
            self._process = await asyncio.create_subprocess_exec(
                *self._command, env=self._environment, start_new_session=True
            )
            log.info("started llama-server pid=%s", self._process.pid)
            code = await self._process.wait()
            if time.monotonic() - started > _STEADY_S:
                pause_s = _FIRST_PAUSE_S
            log.warning("llama-server ended with code %s; starting again in %s s", code, pause_s)
            await asyncio.sleep(pause_s)
            pause_s = min(_LONGEST_PAUSE_S, pause_s * 2)

    async def stop(self) -> None:
        """Ends it: politely, and after 5 s for good."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), _STOP_S)
        except TimeoutError:
            process.kill()
            await process.wait()


def _option(command: Sequence[str], name: str) -> str | None:
    for word, after in zip(command, [*command[1:], ""], strict=True):
        if word == name:
            return after
        if word.startswith(f"{name}="):
            return word.partition("=")[2]
    return None
