"""Each process is stopped and another one started in its place, under load: no request fails."""

import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from testing.crowd import Crowd
from testing.processes import LlamaServer, Program, api, bridge, free_port, llamaq, program, valkey
from testing.waiting import wait_until

pytestmark = pytest.mark.real


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
    assert old.process.wait(30) == 0
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
