"""A real API process, with a real bridge and llama.cpp server, over real sockets."""

import re
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

from llamaq.demo_model import write_demo_model
from testing.builders import make_token
from testing.processes import LlamaServer, answers, api, bridge, free_port
from testing.waiting import wait_until
from tests.fuzz import bodies, raw
from tests.fuzz.bodies import Asked
from tests.fuzz.edge import Wrong, raw_request
from tests.fuzz.exploring import rss_mib

_END_S = 60.0
"""A real server generates the answer; without a bound on its tokens it fills its context."""

_CRASHED = re.compile(r"Traceback|crashed|Fatal error")


class Sockets:
    """Sends to the API process, and looks at its log. A context manager."""

    INPUTS = bodies.requests()
    RAW = raw.pieces()

    def __init__(self, redis_url: str, folder: Path) -> None:
        self._redis_url = redis_url
        self._folder = folder
        self._stack = ExitStack()
        self._read = 0

    def __enter__(self) -> "Sockets":
        model = self._folder / "tiny.gguf"
        write_demo_model(model, size="tiny")
        server = LlamaServer(model, free_port(), "tiny", slots=4)
        self._stack.enter_context(server.running(self._folder / "server.log"))
        log = self._folder / "api.log"
        self._api, url = self._stack.enter_context(api(self._redis_url, log))
        self._bridge = bridge(self._redis_url, server, self._folder / "bridge.log")
        self._stack.enter_context(self._bridge)
        wait_until(lambda: answers(f"{url}/ready"))
        there = urlsplit(url)
        self._address = there.hostname, there.port
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._stack.close()

    def rss_mib(self) -> int:
        """What the API process holds."""
        return rss_mib(self._api.process.pid)

    def ask(self, asked: Asked) -> None:
        """A request of a good token gets one answer that is no crash. Raises `Wrong`."""
        sent = self._exchange([raw_request(asked, make_token(), close=True)], ends=True)
        if not re.match(rb"HTTP/1\.1 [1-5]\d\d ", sent):
            raise Wrong(f"no answer but {sent[:200]!r}")
        self._check(sent)

    def send(self, pieces: Sequence[bytes]) -> None:
        """Nothing that comes is a crash. Raises `Wrong`."""
        self._check(self._exchange(pieces, ends=False))

    def _exchange(self, pieces: Sequence[bytes], *, ends: bool) -> bytes:
        """What comes back, to its end, or for a moment where there may be none."""
        sent = b""
        with socket.create_connection(self._address, timeout=10) as there:
            with suppress(ConnectionError):
                for piece in pieces:
                    there.sendall(piece)
            until = time.monotonic() + (_END_S if ends else 0.02)
            with suppress(ConnectionError, TimeoutError):
                while (left_s := until - time.monotonic()) > 0:
                    there.settimeout(left_s)
                    if not (piece := there.recv(65536)):
                        return sent
                    sent += piece
        if ends:
            raise Wrong(f"no end after {_END_S} s: {pieces!r}")
        return sent

    def _check(self, sent: bytes) -> None:
        if b"internal_error" in sent:
            raise Wrong(sent.decode(errors="replace"))
        with self._api.log.open() as log:
            log.seek(self._read)
            said = log.read()
            self._read = log.tell()
        if _CRASHED.search(said):
            raise Wrong(said)
