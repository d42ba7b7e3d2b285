"""Each process is stopped and another one started in its place, under load: no request fails."""

import itertools
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.builders import make_token
from tests.processes import (
    LlamaServer,
    Program,
    api,
    bridge,
    free_port,
    llamaq,
    program,
    valkey,
    wait_until,
)

pytestmark = pytest.mark.real

TOKENS = 80


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: what became of it, and who answered."""

    worker: str
    complete: bool
    said: str = field(repr=False)


class Crowd:
    """Clients that ask all the time, every other one with streaming.

    Each takes one of the addresses, and the next one where nobody listens, as a load balancer does.
    """

    def __init__(self, urls: list[str], model: str, clients: int) -> None:
        self.asked: list[Asked] = []
        self._urls = urls
        self._model = model
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(clients)
        self._running = [self._pool.submit(self._run, number) for number in range(clients)]

    def _run(self, number: int) -> None:
        turn = itertools.count(number)
        while not self._over.is_set():
            response = self._ask(next(turn), stream=number % 2 == 0)
            text = response.text
            ended = text.endswith("data: [DONE]\n\n") or '"usage"' in text
            complete = response.status_code == 200 and ended and '"error"' not in text
            worker = response.headers.get("x-llamaq-worker", "?").rpartition("-")[0]
            self.asked.append(Asked(worker, complete, text[:500]))

    def _ask(self, turn: int, *, stream: bool) -> httpx.Response:
        question = [{"role": "user", "content": "Tell me a story."}]
        body: dict[str, Any] = {"model": self._model, "messages": question, "stream": stream}
        body |= {"max_tokens": TOKENS, "ignore_eos": True}
        headers = {"Authorization": f"Bearer {make_token()}"}
        for url in itertools.islice(itertools.cycle(self._urls), turn % 2, None):
            try:
                return httpx.post(
                    f"{url}/v1/chat/completions", json=body, headers=headers, timeout=60
                )
            except httpx.ConnectError:
                continue
        raise AssertionError("unreachable")

    def __enter__(self) -> "Crowd":
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def wait_for(self, worker: str, answers: int = 4) -> None:
        """Waits until a worker of this name has answered."""
        wait_until(lambda: sum(a.worker == worker for a in list(self.asked)) >= answers, 60)

    def wait_for_more(self, answers: int = 8) -> None:
        mark = len(self.asked) + answers
        wait_until(lambda: len(self.asked) >= mark, 60)

    def disperse(self) -> None:
        """Lets all of them end; every answer must have been complete."""
        self._over.set()
        for client in self._running:
            client.result(60)
        self._pool.shutdown()
        assert [asked for asked in self.asked if not asked.complete] == []


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_only_worker_of_a_model_is_replaced(
    stack: ExitStack, tmp_path: Path, models: dict[str, Path]
) -> None:
    """Its llama-server goes on; the new bridge waits until the old one has left."""
    redis_url = stack.enter_context(valkey(tmp_path))
    _, url = stack.enter_context(api(redis_url, tmp_path / "api.log"))
    server = LlamaServer(models["small"], free_port(), "small", 2)
    stack.enter_context(server.running(tmp_path / "server.log"))
    old = stack.enter_context(bridge(redis_url, server, tmp_path / "old", worker_name="old"))
    crowd = stack.enter_context(Crowd([url], "small", 4))
    crowd.wait_for("old")
    old.signal(signal.SIGTERM)
    stack.enter_context(bridge(redis_url, server, tmp_path / "new", worker_name="new"))
    crowd.wait_for("new")
    assert old.process.wait(10) == 0
    crowd.disperse()


def test_only_worker_is_replaced_together_with_the_server_that_it_started(
    stack: ExitStack, tmp_path: Path, models: dict[str, Path]
) -> None:
    redis_url = stack.enter_context(valkey(tmp_path))
    _, url = stack.enter_context(api(redis_url, tmp_path / "api.log"))

    def start(name: str) -> Program:
        server = [sys.executable, "-m", "llamaq.demo_server", "-m", str(models["small"])]
        command = llamaq("bridge", "--name", name, "--", *server, "--parallel", "2")
        environment = {"LLAMAQ_REDIS_URL": redis_url}
        return stack.enter_context(program(command, tmp_path / name, environment))

    old = start("old")
    wait_until(lambda: "joined worker=" in old.output, 60)
    crowd = stack.enter_context(Crowd([url], "small", 4))
    crowd.wait_for("old")
    assert old.stop() == 0
    start("new")
    crowd.wait_for("new")
    crowd.disperse()


def test_each_api_is_replaced(stack: ExitStack, tmp_path: Path, models: dict[str, Path]) -> None:
    redis_url = stack.enter_context(valkey(tmp_path))
    ports = [free_port(), free_port()]
    server = LlamaServer(models["small"], free_port(), "small", 2)

    def start(port: int) -> tuple[Program, str]:
        return stack.enter_context(api(redis_url, tmp_path / f"{port}.log", port=str(port)))

    stack.enter_context(server.running(tmp_path / "server.log"))
    stack.enter_context(bridge(redis_url, server, tmp_path / "bridge", worker_name="only"))
    apis = [start(port) for port in ports]
    crowd = stack.enter_context(Crowd([url for _, url in apis], "small", 6))
    crowd.wait_for("only")
    end(apis[0][0])
    start(ports[0])
    crowd.wait_for_more()
    end(apis[1][0])
    crowd.wait_for_more()
    crowd.disperse()


def end(running: Program) -> None:
    running.signal(signal.SIGTERM)
    assert running.process.wait(30) == -signal.SIGTERM  # uvicorn passes it on at the end
