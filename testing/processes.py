"""Starts the real parts, each as a process of its own, and stops them again."""

import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom

from llamaq.embedded_redis import find_server
from testing.builders import SECRET
from testing.waiting import wait_until

START_S = 60.0
_PORTS = 15_000, 32_000  # Linux gives outgoing connections those from 32768
_DICE = SystemRandom()  # tests seed the other one
_EXACT = ("--flash-attn", "off", "--cache-type-k", "f32", "--cache-type-v", "f32")


_GIVEN: set[int] = set()


def free_port() -> int:
    """One that nobody has, that was not given before, and that no outgoing connection gets."""
    while True:
        port = _DICE.randrange(*_PORTS)
        if port in _GIVEN:
            continue
        _GIVEN.add(port)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@dataclass(slots=True)
class Program:
    """A running process, and the file that its output goes to."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stop(self, timeout_s: float = 20.0) -> int:
        """SIGTERM, and its exit code."""
        self.process.terminate()
        return self.process.wait(timeout_s)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)


@contextmanager
def program(
    command: Sequence[str],
    log: Path,
    environment: Mapping[str, str] | None = None,
    inherited: Sequence[int] = (),
) -> Iterator[Program]:
    """Runs a command; what is left of it at the end is killed with all its children."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LLAMAQ_")}
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**clean, **(environment or {})},
            start_new_session=True,
            pass_fds=inherited,
        )
    try:
        yield Program(process, log)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGCONT)
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(10)


def answers(url: str) -> bool:
    """Whether a GET comes back with 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


@contextmanager
def valkey(folder: Path, *options: str) -> Iterator[str]:
    """A real server on a socket in `folder`, without persistence; yields its URL."""
    socket_path = folder / "valkey.sock"
    command = [str(find_server()), "--port", "0", "--unixsocket", str(socket_path)]
    command += ["--save", "", "--appendonly", "no", "--dir", str(folder), "--loglevel", "warning"]
    with program([*command, *options], folder / "valkey.log"):
        wait_until(socket_path.exists)
        yield f"unix://{socket_path}"


@dataclass(frozen=True, slots=True)
class LlamaServer:
    """How to start one real llama.cpp server again and again at the same address.

    An `exact` one rounds less: its greedy answers are the same whether a text was a part of the
    prompt or generated.
    """

    model: Path
    port: int
    alias: str
    slots: int
    key: str | None = None
    exact: bool = False
    sleep_s: int = -1
    options: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        return [
            *(sys.executable, "-m", "llamaq.demo_server", "-m", str(self.model)),
            *("--port", str(self.port), "--alias", self.alias, "--parallel", str(self.slots)),
            *("--ctx-size", str(2048 * self.slots), "--batch-size", "256", "--metrics"),
            *(("--api-key", self.key) if self.key else ()),
            *(_EXACT if self.exact else ()),
            *("--sleep-idle-seconds", str(self.sleep_s)),
            *self.options,
        ]

    @contextmanager
    def running(self, log: Path) -> Iterator[Program]:
        with program(self.command(), log) as server:
            wait_until(lambda: answers(f"{self.url}/health"), START_S)
            yield server


def pss_kb(pid: int) -> int:
    """What a process takes of the memory; its part of what it shares with others."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(rollup.partition("\nPss:")[2].split()[0])


def llamaq(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "llamaq", *arguments]


@contextmanager
def bridge(redis_url: str, server: LlamaServer, log: Path, **settings: str) -> Iterator[Program]:
    """A bridge attached to a server; `settings` are LLAMAQ_* variables in lower case."""
    environment = {"LLAMAQ_REDIS_URL": redis_url, "LLAMAQ_SERVER": server.url, **_upper(settings)}
    if server.key:
        environment["LLAMAQ_SERVER_KEY"] = server.key
    with program(llamaq("bridge"), log, environment) as running:
        wait_until(lambda: "joined worker=" in running.output, START_S)
        yield running


@contextmanager
def api(redis_url: str, log: Path, **settings: str) -> Iterator[tuple[Program, str]]:
    """An API; yields the process and its URL."""
    port = settings.setdefault("port", str(free_port()))
    environment = {
        "LLAMAQ_REDIS_URL": redis_url,
        "LLAMAQ_JWT_SECRET": SECRET,
        **_upper(settings),
    }
    with program(llamaq("api"), log, environment) as running:
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: answers(f"{url}/health"), START_S)
        yield running, url


def _upper(settings: Mapping[str, str]) -> dict[str, str]:
    return {f"LLAMAQ_{name.upper()}": value for name, value in settings.items()}
