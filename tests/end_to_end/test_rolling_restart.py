"""Each process is stopped and another one started in its place, under load: no request fails."""

import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from testing.builders import SECRET
from testing.crowd import Crowd
from testing.processes import LlamaServer, Program, api, bridge, free_port, llamaq, program, valkey
from testing.systemd import activated
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


def test_only_api_is_replaced_on_the_socket_that_systemd_keeps(
    stack: ExitStack, tmp_path: Path, models: dict[str, Path]
) -> None:
    redis_url = stack.enter_context(valkey(tmp_path))
    listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    server = LlamaServer(models["small"], free_port(), "small", 2)
    environment = {"LLAMAQ_REDIS_URL": redis_url, "LLAMAQ_JWT_SECRET": SECRET}

    def start(name: str) -> Program:
        log = tmp_path / name
        return stack.enter_context(activated(llamaq("api"), [listening], log, environment))

    stack.enter_context(server.running(tmp_path / "server.log"))
    old = start("old")
    stack.enter_context(bridge(redis_url, server, tmp_path / "bridge", worker_name="only"))
    crowd = stack.enter_context(Crowd([url_of(listening)], "small", 6))
    crowd.wait_for("only")
    end(old)
    start("new")
    crowd.wait_for_more()
    crowd.disperse()


def test_all_of_up_is_replaced_on_the_socket_that_systemd_keeps(
    stack: ExitStack, tmp_path: Path, models: dict[str, Path]
) -> None:
    """Redis, API and bridge. Those that come meanwhile wait; streams that run come to their end."""
    listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    server = LlamaServer(models["small"], free_port(), "small", 2)
    command = llamaq("up", "--server", server.url, "--data-dir", str(tmp_path / "data"))

    def start(name: str) -> Program:
        secret = {"LLAMAQ_JWT_SECRET": SECRET}
        return stack.enter_context(activated(command, [listening], tmp_path / name, secret))

    stack.enter_context(server.running(tmp_path / "server.log"))
    old = start("old")
    crowd = stack.enter_context(Crowd([url_of(listening)], "small", 6))
    crowd.wait_for_more()
    assert f"llamaq is up: {url_of(listening)}/v1" in old.output
    assert_only_the_api_has(listening, old)
    assert old.stop() == 0
    start("new")
    crowd.wait_for_more()
    crowd.disperse()


def assert_only_the_api_has(listening: socket.socket, up: Program) -> None:
    """Of the processes that `up` has started."""
    children = psutil.Process(up.process.pid).children()
    port = listening.getsockname()[1]
    having = [each for each in children if port in listening_ports(each)]
    assert ["api" in each.cmdline() for each in having] == [True]
    for each in children:
        assert [name for name in each.environ() if name.startswith("LISTEN_")] == []


def listening_ports(process: psutil.Process) -> set[int]:
    connections = process.net_connections("tcp")
    return {each.laddr.port for each in connections if each.status == psutil.CONN_LISTEN}


def url_of(listening: socket.socket) -> str:
    return f"http://127.0.0.1:{listening.getsockname()[1]}"


def end(running: Program) -> None:
    running.signal(signal.SIGTERM)
    assert running.process.wait(30) == -signal.SIGTERM  # uvicorn passes it on at the end
