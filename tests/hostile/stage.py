"""What is attacked: Valkey, an API and two bridges that have started a server each."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from llamaq.demo_model import write_demo_model
from testing.processes import Program, answers, api, llamaq, program, valkey
from testing.waiting import wait_until
from tests.hostile.bodies import MODEL, TEMPLATE

SLOTS = 4  # of each server
SERVERS = 2
_START_S = 60.0
_PATIENCE_S = 180.0


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the API is, and its processes."""

    url: str
    redis_url: str
    folder: Path
    api: Program
    bridges: Sequence[Program]

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def starts(self) -> int:
        """How often a server was started."""
        return self._count("started llama-server pid=")

    def opened(self) -> int:
        """How often a breaker opened."""
        return self._count("breaker=open")

    def _count(self, words: str) -> int:
        return sum(bridge.output.count(words) for bridge in self.bridges)

    def memory_mib(self) -> Mapping[str, float]:
        """Resident MiB of the API's processes, and of the largest bridge."""
        bridges = [psutil.Process(bridge.process.pid) for bridge in self.bridges]
        main = psutil.Process(self.api.process.pid)
        apis = [main, *main.children(recursive=True)]
        return {
            "api": sum(process.memory_info().rss for process in apis) / 2**20,
            "bridge": max(process.memory_info().rss for process in bridges) / 2**20,
        }

    def llamaq(self, *arguments: str) -> str:
        """What a command of an operator prints."""
        told = {**os.environ, "LLAMAQ_REDIS_URL": self.redis_url}
        run = subprocess.run(llamaq(*arguments), env=told, capture_output=True, text=True)
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout

    def until_ready(self) -> None:
        """Returns when the API is and both servers run; raises AssertionError."""
        wait_until(lambda: answers(f"{self.url}/ready"), _PATIENCE_S)


@contextmanager
def stage(folder: Path, api_workers: int) -> Iterator[Stage]:
    """Starts all of it, with the settings that it has by default."""
    model = folder / f"{MODEL}.gguf"
    write_demo_model(model, template=TEMPLATE)
    server = [sys.executable, "-m", "tests.hostile.buggy_server", "-m", str(model)]
    server += ["--alias", MODEL, "--parallel", str(SLOTS), "--ctx-size", str(2048 * SLOTS)]
    with ExitStack() as stack:
        redis_url = stack.enter_context(valkey(folder))
        settings = {"api_workers": str(api_workers)}
        running, url = stack.enter_context(api(redis_url, folder / "api.log", **settings))
        bridges = []
        for number in range(SERVERS):
            told = {"LLAMAQ_REDIS_URL": redis_url, "LLAMAQ_WORKER_NAME": f"worker{number}"}
            log = folder / f"bridge{number}.log"
            command = llamaq("bridge", "--", *server)
            bridges.append(stack.enter_context(program(command, log, told)))
        found = Stage(url, redis_url, folder, running, bridges)
        wait_until(lambda: all("joined worker=" in b.output for b in bridges), _START_S)
        found.until_ready()
        yield found
