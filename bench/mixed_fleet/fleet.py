"""The servers, with llamaq or HAProxy in front of them."""

import json
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.mixed_fleet.jobs import PROMPT_RATE, RATE, SLOTS, SPEEDS
from bench.standin_server import MODEL
from testing.builders import make_token
from testing.processes import LlamaServer, answers, api, bridge, free_port, program, valkey
from testing.waiting import wait_until


@dataclass(frozen=True, slots=True)
class Served:
    """One request, as a server tells of it; by the same clock. `late_s` are beyond its speed."""

    server: str
    started_s: float
    ended_s: float
    late_s: float


class Fleet:
    """The servers, `scale` times as fast as they say."""

    def __init__(self, folder: Path, scale: float = 1) -> None:
        self.scale = scale
        self.servers = {name: LlamaServer(Path(), free_port(), MODEL, SLOTS) for name in SPEEDS}
        self._folder = folder
        self._running: dict[str, ExitStack] = {}

    @contextmanager
    def running(self) -> Iterator[None]:
        """All of them."""
        try:
            for name in self.servers:
                self.start(name, SLOTS)
            yield
        finally:
            for name in self.servers:
                self.stop(name)

    def start(self, name: str, slots: int) -> None:
        """Starts one and waits until it answers."""
        server, rate = self.servers[name], SPEEDS[name] * self.scale
        script = str(Path(__file__).parents[1] / "standin_server.py")
        rates = (str(RATE * rate), str(PROMPT_RATE * rate))
        command = [sys.executable, script, str(server.port), str(slots), *rates]
        stack = self._running[name] = ExitStack()
        stack.enter_context(program(command, self._folder / f"{name}.log"))
        wait_until(lambda: answers(f"{server.url}/health"))

    def stop(self, name: str) -> None:
        """Ends one, with all it is doing."""
        if name in self._running:
            self._running.pop(name).close()

    def restart(self, name: str, slots: int) -> None:
        """Ends one and starts it again with so many slots."""
        self.stop(name)
        self.start(name, slots)

    def account(self, name: str) -> dict[str, Any]:
        """What a server has done since it was started."""
        with urllib.request.urlopen(f"{self.servers[name].url}/account") as answer:  # noqa: S310
            return dict(json.load(answer))

    def served(self, since_s: float) -> list[Served]:
        """What all servers have done since then."""
        found = []
        for name in self.servers:
            speed = SPEEDS[name] * self.scale
            for _, _, started_s, ended_s, prompt, tokens in self.account(name)["ended"]:
                fast_s = prompt / PROMPT_RATE + (tokens - 1) / RATE
                late_s = ended_s - started_s - fast_s / speed
                found.append(Served(name, started_s, ended_s, late_s))
        return [served for served in found if served.started_s >= since_s]


@dataclass(frozen=True, slots=True)
class System:
    """Something in front of the servers; who asks is one of so many `tenants` by turns.

    `redis_url` is empty but for llamaq.
    """

    name: str
    port: int
    redis_url: str = ""
    tenants: int = 1

    def token(self, number: int) -> str:
        """Of the tenant whose turn this is."""
        return make_token(sub=f"tenant-{number % self.tenants}")


@contextmanager
def llamaq(fleet: Fleet, folder: Path, tenants: int) -> Iterator[System]:
    """A real queue, a real API, a bridge beside each server."""
    with ExitStack() as stack:
        redis_url = stack.enter_context(valkey(folder))
        for name, server in fleet.servers.items():
            log = folder / f"bridge-{name}.log"
            stack.enter_context(bridge(redis_url, server, log, worker_name=name))
        _, url = stack.enter_context(api(redis_url, folder / "api.log"))
        wait_until(lambda: answers(f"{url}/ready"))
        yield System("llamaq", int(url.rpartition(":")[2]), redis_url, tenants)
