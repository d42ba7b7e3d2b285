"""`llamaq api` on sockets that systemd keeps: while it restarts, connections wait."""

import signal
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import psutil
import pytest

from llamaq.listening import backlog_of
from testing.builders import SECRET
from testing.certificates import write_certificate
from testing.processes import Program, llamaq
from testing.systemd import activated
from testing.waiting import wait_until

pytestmark = pytest.mark.real

BACKLOG = 23
REQUEST = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


class Knockers:
    """One for each address, which asks all the time, each time on a new connection."""

    def __init__(self, urls: Sequence[str], trust: ssl.SSLContext) -> None:
        self.heard: list[str] = []
        self._trust = trust
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(len(urls))
        self._running = [self._pool.submit(self._knock, url) for url in urls]

    def _knock(self, url: str) -> None:
        while not self._over.is_set():
            try:
                answer = httpx.get(url, verify=self._trust, timeout=60, trust_env=False)
                self.heard.append(str(answer.status_code))
            except httpx.HTTPError as error:
                self.heard.append(repr(error))
                return

    def wait_for_more(self) -> None:
        mark = len(self.heard) + 10
        wait_until(lambda: len(self.heard) >= mark or set(self.heard) - {"200"}, 60)

    def end(self) -> None:
        self._over.set()
        self._pool.shutdown()


@pytest.fixture
def sockets() -> Iterator[list[socket.socket]]:
    """What the `.socket` unit says: an address of IPv4 and one of IPv6."""
    with (
        socket.create_server(("127.0.0.1", 0), backlog=BACKLOG) as old,
        socket.create_server(("::1", 0), family=socket.AF_INET6, backlog=BACKLOG) as new,
    ):
        yield [old, new]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize("way", ["alone", "workers", "tls"])
def test_restart_refuses_no_connection(
    stack: ExitStack, tmp_path: Path, real_redis_url: str, sockets: list[socket.socket], way: str
) -> None:
    cert, key = write_certificate(tmp_path)
    trust = ssl.create_default_context(cafile=cert)
    options = {
        "workers": ["--workers", "2"],
        "tls": ["--tls-cert", str(cert), "--tls-key", str(key)],
    }
    environment = {"LLAMAQ_REDIS_URL": real_redis_url, "LLAMAQ_JWT_SECRET": SECRET}

    def start(name: str) -> Program:
        command = llamaq("api", *options.get(way, ()))
        return stack.enter_context(activated(command, sockets, tmp_path / name, environment))

    scheme, ports = "https" if way == "tls" else "http", [s.getsockname()[1] for s in sockets]
    old = start("old")
    urls = [f"{scheme}://127.0.0.1:{ports[0]}/health", f"{scheme}://[::1]:{ports[1]}/health"]
    knockers = Knockers(urls * 2, trust)
    stack.callback(knockers.end)
    knockers.wait_for_more()
    assert [backlog_of(each) for each in sockets] == [BACKLOG, BACKLOG]
    for process in psutil.Process(old.process.pid).children(recursive=True):
        assert [name for name in process.environ() if name.startswith("LISTEN_")] == []
    old.signal(signal.SIGTERM)
    assert old.process.wait(30) == (0 if way == "workers" else -signal.SIGTERM)
    waiting = [
        socket.create_connection(s.getsockname()[:2], 60) for s in sockets
    ]  # nobody is there
    start("new")
    assert [answer(each, trust if way == "tls" else None) for each in waiting] == [b"200"] * 2
    knockers.wait_for_more()
    knockers.end()
    assert set(knockers.heard) == {"200"}


def answer(connection: socket.socket, trust: ssl.SSLContext | None) -> bytes:
    """The status of an answer on this connection."""
    if trust:
        connection = trust.wrap_socket(connection, server_hostname="localhost")
    with connection, connection.makefile("rb") as reader:
        connection.sendall(REQUEST)
        return bytes(reader.read().split()[1])
