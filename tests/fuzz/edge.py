"""The whole app behind llamaq's own HTTP protocol, in this process, without a socket."""

import asyncio
import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

from uvicorn import Config
from uvicorn.server import ServerState

from api import refusal
from api.context import Context
from dispatcher.frames import pack
from dispatcher.needs import (
    COMPLETION,
    EMBEDDINGS,
    INFILL,
    NATIVE_EMBEDDINGS,
    RERANK,
    TRANSCRIPTION,
)
from llamaq.http_limits import BODY_S, BoundedProtocol, look_at_all
from llamaq.places import Places
from testing.builders import make_token
from testing.service import a_model, a_worker, scripted_app
from testing.wire import Wire
from tests.fuzz.answers import good_frames
from tests.fuzz.bodies import Asked
from tests.fuzz.frames import Frames

_MODALITIES = frozenset({"vision", "audio"})
_ENDPOINTS = frozenset({COMPLETION, EMBEDDINGS, NATIVE_EMBEDDINGS, RERANK, INFILL, TRANSCRIPTION})

HANG_S = 20.0
"""A request that takes longer hangs. The slowest takes a thread some tenths of a second."""

_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) [A-Z]")
_TOKEN = make_token()


def raw_request(asked: Asked, token: str, *, close: bool = False) -> bytes:
    """Its bytes on the wire. It may close its connection."""
    lines = [f"POST {asked.path} HTTP/1.1", "Host: llamaq", f"Authorization: Bearer {token}"]
    lines += [f"{name}: {value}" for name, value in asked.headers.items()]
    lines += ["Connection: close"] if close else []
    lines += [f"Content-Length: {len(asked.body)}", "", ""]
    return "\r\n".join(lines).encode("latin-1") + asked.body


class Wrong(AssertionError):
    """What a server must never do."""


class Crashes(logging.Handler):
    """Remembers what was logged with a traceback: nobody had thought of that."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self.seen.append(self.format(record))


class Edge:
    """An API on a scripted queue, and its loop. A context manager."""

    def __init__(self, **settings: Any) -> None:
        refusal._LAST_S = 0.0
        self._settings = settings
        self._begin()
        self._crashes = Crashes()
        self._loggers = [logging.getLogger(name) for name in ("llamaq", "uvicorn.error", "asyncio")]

    def _begin(self) -> None:
        self._runner = asyncio.Runner()
        app, _, registry = scripted_app(**self._settings)
        able = a_worker(modalities=_MODALITIES, endpoints=_ENDPOINTS, context=4096)
        registry.models = {"tiny": a_model(able)}
        self.queue = Frames()
        context: Context = replace(app.state.context, queue=cast(Any, self.queue))
        app.state.context = self.context = context
        self._app: Any = app.middleware_stack

    def __enter__(self) -> "Edge":
        for logger in self._loggers:
            logger.addHandler(self._crashes)
        return self

    def __exit__(self, *_: object) -> None:
        for logger in self._loggers:
            logger.removeHandler(self._crashes)
        self._runner.close()

    def ask(self, asked: Asked, values: Sequence[bytes] | None = None) -> int:
        """The status that a request of a good token gets; where it reaches a worker, that answers
        with these packed frames. Raises `Wrong`.
        """
        self.queue.values = [pack(good_frames(asked.path))] if values is None else values
        statuses = self.send([raw_request(asked, _TOKEN)])
        if len(statuses) != 1:
            raise Wrong(f"one request got the answers {statuses}")
        return statuses[0]

    def send(self, pieces: Sequence[bytes]) -> list[int]:
        """The statuses of all answers to these bytes. Raises `Wrong`."""
        self._crashes.seen.clear()
        self.queue.jobs.clear()
        self.queue.rests.clear()
        self.queue.shown.clear()
        try:
            sent = self._runner.run(self._visit(pieces))
        except BaseException:
            self._runner.close()
            self._begin()  # what one request has left behind tells nothing of the next one
            raise
        statuses = [int(status) for status in _STATUS.findall(sent)]
        if self._crashes.seen:
            raise Wrong(self._crashes.seen[0])
        if 500 in statuses and b"model_server_error" not in sent:
            raise Wrong(sent.decode(errors="replace"))
        return statuses

    async def _visit(self, pieces: Sequence[bytes]) -> bytes:
        class Protocol(BoundedProtocol):
            places = Places(1)

        config, state = Config(self._app, log_config=None), ServerState()
        config.load()
        wire = Wire("192.0.2.1")
        protocol = Protocol(config, state, {})
        protocol.connection_made(wire)
        for piece in pieces:
            if wire.is_open:
                protocol.data_received(piece)
                await asyncio.sleep(0)
        await self._rest(protocol, state, wire)
        protocol.connection_lost(None)
        await self._rest(protocol, state, wire)
        left = Protocol.places.taken, self.context.line.counts(), self.context.room.held_bytes
        if left != (0, (0, 0, 0), 0):
            raise Wrong(f"the connection is gone, and this is still held: {left}")
        return wire.sent

    async def _rest(self, protocol: Any, state: ServerState, wire: Wire) -> None:
        """Until nothing goes on. What waits for more of its client hears that its time is over."""
        async with asyncio.timeout(HANG_S):
            while state.tasks:
                if protocol._is_coming and wire.is_open:
                    await asyncio.sleep(0)
                    late = asyncio.get_running_loop().time() + BODY_S + 1
                    look_at_all(state.connections, late)
                if state.tasks:
                    await asyncio.wait(state.tasks, timeout=0.1)
