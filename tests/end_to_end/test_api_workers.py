"""`llamaq api --workers`: real processes on one socket, in front of a real Valkey."""

import socket
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from testing.builders import SECRET, make_token
from testing.certificates import write_certificate
from testing.processes import Program, api, free_port, llamaq, program, pss_kb
from testing.scraped import Scraped
from testing.waiting import wait_until

pytestmark = pytest.mark.real

WORKERS = 2
FINE = b"HTTP/1.1 400"  # the request names no model
HEAD = (
    "POST /v1/chat/completions HTTP/1.1\r\nHost: llamaq\r\nContent-Length: 2\r\n"
    f"Connection: close\r\nAuthorization: Bearer {make_token()}\r\n\r\n"
)


@dataclass(frozen=True, slots=True)
class Running:
    """The process that keeps the others."""

    supervisor: Program
    url: str
    metrics_url: str = ""
    trust: ssl.SSLContext | None = None

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def workers(self) -> list[psutil.Process]:
        return psutil.Process(self.supervisor.process.pid).children()

    def is_whole(self) -> bool:
        """Whether all processes serve, after all the starts that the log tells of."""
        output = self.supervisor.output
        started = output.count("Application startup complete")
        return len(self.workers()) == WORKERS and started == output.count("started api-")

    def scrape(self) -> Scraped:
        """What a process tells of all."""
        return Scraped(httpx.get(self.metrics_url).text)

    def begin(self) -> "Request":
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        if self.trust:
            connection = self.trust.wrap_socket(connection, server_hostname="localhost")
        return Request(connection)

    def begin_with_each(self, requests: int = 4) -> dict[int, list["Request"]]:
        """Requests that every process has at least so many of, by its pid."""
        shared: dict[int, list[Request]] = {worker.pid: [] for worker in self.workers()}
        for _ in range(100):
            request = self.begin()
            shared[self._owner(request)].append(request)
            if all(len(held) >= requests for held in shared.values()):
                return shared
        raise AssertionError(f"one process takes all connections: {shared}")

    def _owner(self, request: "Request") -> int:
        """The process that has accepted its connection."""
        owners: list[int] = []

        def is_accepted() -> bool:
            owners.extend(p.pid for p in self.workers() if request.port in clients_of(p))
            return bool(owners)

        wait_until(is_accepted)
        return owners[0]


class Request:
    """A request of which the last byte is not sent yet."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.port = int(connection.getsockname()[1])
        connection.sendall(HEAD.encode() + b"{")

    def end(self) -> bytes:
        """The beginning of the answer; nothing where the connection broke."""
        try:
            self._connection.sendall(b"}")
            return self._connection.recv(12)
        except ConnectionError:
            return b""
        finally:
            self._connection.close()


def clients_of(process: psutil.Process) -> set[int]:
    """The ports of the clients that a process has accepted."""
    return {each.raddr.port for each in process.net_connections("tcp") if each.raddr}


@pytest.fixture
def encrypted(tmp_path: Path, real_redis_url: str) -> Iterator[Running]:
    """That speaks TLS."""
    cert, key = write_certificate(tmp_path)
    port, files = free_port(), ["--tls-cert", str(cert), "--tls-key", str(key)]
    command = llamaq("api", "--workers", str(WORKERS), "--port", str(port), *files)
    environment = {"LLAMAQ_REDIS_URL": real_redis_url, "LLAMAQ_JWT_SECRET": SECRET}
    with program(command, tmp_path / "api.log", environment) as supervisor:
        trust = ssl.create_default_context(cafile=cert)
        running = Running(supervisor, f"https://127.0.0.1:{port}", trust=trust)
        wait_until(running.is_whole, 30)
        yield running


@pytest.fixture
def running(tmp_path: Path, real_redis_url: str) -> Iterator[Running]:
    log, listen = tmp_path / "api.log", f"127.0.0.1:{free_port()}"
    settings = {"api_workers": str(WORKERS), "metrics_listen": listen}
    with api(real_redis_url, log, **settings) as (supervisor, url):
        running = Running(supervisor, url, f"http://{listen}/metrics")
        wait_until(running.is_whole, 30)
        yield running


def test_only_the_connections_of_a_process_that_dies_break(running: Running) -> None:
    """New ones wait for a process, even while there is none. What was counted stays."""
    begun = running.begin_with_each()
    ending, killed = running.workers()
    ending.terminate()
    wait_until(lambda: "Shutting down" in running.supervisor.output)
    assert {request.end() for request in begun[ending.pid]} == {FINE}
    killed.kill()
    psutil.wait_procs([ending, killed], 5)
    assert {request.end() for request in begun[killed.pid]} == {b""}
    assert {running.begin().end() for _ in range(8)} == {FINE}
    wait_until(running.is_whole, 30)
    served = running.begin_with_each(1)
    assert {request.end() for held in served.values() for request in held} == {FINE}
    check_sums(running, begun[ending.pid], list(served.values()))


def check_sums(running: Running, ended: list["Request"], served: list[list["Request"]]) -> None:
    """Each process tells of all, those that have died included, and nothing gets less."""
    labels, refused = {"endpoint": "/v1/chat/completions", "status": "4xx"}, len(ended) + 8
    refused += sum(map(len, served))
    name = "llamaq_requests_total"
    wait_until(lambda: running.scrape().sum(name, **labels) == refused)  # others tell each second
    for _ in range(8):  # whichever answers
        told = running.scrape()
        assert told.sum(name, **labels) == refused
        assert told.sum("llamaq_api_processes") == WORKERS
        assert told.sum("llamaq_api_configured_processes") == WORKERS
        assert told.sum("llamaq_build_info") == 1


def test_a_signal_ends_all_when_their_answers_have_ended(encrypted: Running) -> None:
    running = encrypted
    begun = running.begin_with_each(1)
    assert pss_kb(running.supervisor.process.pid) < 30_000  # it has become a program that is small
    refused = subprocess.run(
        llamaq("api", "--workers", "2", "--port", str(running.port)),
        env={"LLAMAQ_REDIS_URL": "unix:///nobody", "LLAMAQ_JWT_SECRET": SECRET},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert refused.returncode == 1
    assert f"can't listen on 127.0.0.1:{running.port}" in refused.stderr
    assert "choose another with --port" in refused.stderr
    running.supervisor.process.terminate()
    wait_until(lambda: running.supervisor.output.count("Shutting down") == WORKERS)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", running.port))
    for held in begun.values():
        assert {request.end() for request in held} == {FINE}
    assert running.supervisor.process.wait(20) == 0
