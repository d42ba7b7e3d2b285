"""Two builds of llamaq on one queue: each process is of one of them."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.environments import Installed
from testing.processes import SECRET, LlamaServer, Program, answers, free_port, program, valkey
from testing.waiting import wait_until

_START_S = 60


@dataclass(slots=True)
class Stage:
    """Two llama.cpp servers with a bridge each, and two APIs. The next ones are of `build`."""

    folder: Path
    redis_url: str
    servers: list[LlamaServer]
    build: Installed
    stack: ExitStack
    ports: list[int] = field(default_factory=lambda: [free_port(), free_port()])
    bridges: dict[int, Program] = field(default_factory=dict)
    apis: dict[int, Program] = field(default_factory=dict)

    @property
    def urls(self) -> list[str]:
        """Those of the APIs."""
        return [f"http://127.0.0.1:{port}" for port in self.ports]

    def start_bridge(self, number: int) -> None:
        """A bridge for one of the servers; the one before it leaves."""
        before = self.bridges.get(number)
        if before:
            before.signal(signal.SIGTERM)
        name = f"{self._name}{number}"
        told = {"LLAMAQ_SERVER": self.servers[number].url, "LLAMAQ_WORKER_NAME": name}
        running = self._run("bridge", name, told)
        wait_until(lambda: "joined worker=" in running.output, _START_S)
        if before:
            assert before.process.wait(60) == 0
        self.bridges[number] = running

    def start_api(self, number: int) -> None:
        """An API at one of the ports, in place of the one before it."""
        if before := self.apis.get(number):
            before.signal(signal.SIGTERM)
            before.process.wait(60)
        told = {"LLAMAQ_JWT_SECRET": SECRET, "LLAMAQ_PORT": str(self.ports[number])}
        self.apis[number] = self._run("api", f"api-{self._name}{number}", told)
        wait_until(lambda: answers(f"{self.urls[number]}/health"), _START_S)

    @property
    def _name(self) -> str:
        return self.build.commit[:7]

    def _run(self, command: str, name: str, told: dict[str, str]) -> Program:
        told |= {"LLAMAQ_REDIS_URL": self.redis_url, "PYTHONPATH": str(self.build.folder)}
        arguments = [self.build.python, "-m", "llamaq", command]
        return self.stack.enter_context(program(arguments, self.folder / f"{name}.log", told))


@contextmanager
def a_stage(folder: Path, model: Path, build: Installed) -> Iterator[Stage]:
    """All of it, of one build."""
    with ExitStack() as stack:
        redis_url = stack.enter_context(valkey(folder))
        servers = [LlamaServer(model, free_port(), "small", 2, exact=True) for _ in range(2)]
        for number, server in enumerate(servers):
            stack.enter_context(server.running(folder / f"server{number}.log"))
        stage = Stage(folder, redis_url, servers, build, stack)
        for number in range(2):
            stage.start_bridge(number)
            stage.start_api(number)
        wait_until(lambda: all(answers(f"{url}/ready") for url in stage.urls), _START_S)
        yield stage
