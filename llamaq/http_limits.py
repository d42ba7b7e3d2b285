"""Bounds on what a connection may cost before anything is known of its sender."""

from asyncio import Event, Transport
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, cast
from urllib.parse import unquote

import httptools
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from api.door import Door
from api.errors import ApiError
from api.paths import PROBES, canonical
from api.refusal import CLOSE, overloaded, refuse, whole_answer
from llamaq.http_cycle import Cycle, News

MOST_CONNECTIONS = 16_384
MOST_HEAD_BYTES = 64 * 1024
HEAD_S = 60.0
BODY_S = 300.0
_PIECE_BYTES = 8  # more than what comes with each byte of a body in pieces of one byte
_CROWDED_S = 5.0


class _Answered:
    """A request that is answered already, for uvicorn: it throws away what else comes of it."""

    response_complete = True
    message_event = Event()


_ANSWERED: Any = _Answered()


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1, which has none of these bounds.

    More than `most_connections` at a time are refused, but for those that ask whether we live.
    """

    most_connections = MOST_CONNECTIONS
    come: Callable[[], None] = staticmethod(lambda: None)
    """Is told of each connection."""
    door: Door | None = None
    """Turns requests away before the app hears of them."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._is_coming = False  # a request has begun, and not all of it is there
        self._head_bytes = 0  # of it, with all else that is no body
        self._since = self.loop.time()

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """A client has come."""
        super().connection_made(transport)
        self.come()
        if len(self.connections) > self.most_connections:
            self.app = partial(_serve_crowded, self.app)

    def data_received(self, data: bytes) -> None:
        """What the client sends."""
        if self._is_coming:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes > MOST_HEAD_BYTES:
            self._refuse_head()

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._is_coming, self._head_bytes = True, 0
        self._since = self.loop.time()

    def on_headers_complete(self) -> None:
        """All is known of a request but its body."""
        door = self.door
        answer = None
        if door is not None and door.line.long_since is not None and self._is_plain():
            answer = door.refusal(self.url, self.headers)
        if answer is None:
            self._begin_cycle()
        else:
            self.transport.write(answer)
            self.cycle = _ANSWERED
            self.on_response_complete()

    def _begin_cycle(self) -> None:
        """As uvicorn does it, but with a cycle of our own."""
        parser, scope = self.parser, self.scope
        scope["http_version"] = version = parser.get_http_version()
        scope["method"] = parser.get_method().decode("ascii")
        if parser.should_upgrade() and self._should_upgrade():
            return
        url = httptools.parse_url(self.url)
        scope["path"], scope["raw_path"] = unquote(url.path.decode("ascii")), url.path
        scope["query_string"] = url.query or b""
        before = self.cycle
        self.cycle = Cycle(
            *(scope, self.transport, self.flow, self.logger, self.access_logger, False),
            *(self.server_state.default_headers, cast(Event, News(self.loop))),
            expect_100_continue=self.expect_100_continue,
            keep_alive=version != "1.0" and parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        self.cycle.tasks = self.tasks
        if before is None or before.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self.tasks.add(self.loop.create_task(cycle.run_asgi(app)))

    def _is_plain(self) -> bool:
        """Whether it is a POST that leaves its connection to another one, and the first in line."""
        return (
            (self.cycle is None or self.cycle.response_complete)
            and self.parser.get_method() == b"POST"
            and self.parser.get_http_version() == "1.1"
            and self.parser.should_keep_alive()
            and not self.expect_100_continue
            and not self.parser.should_upgrade()
        )

    def on_body(self, body: bytes) -> None:
        """A piece of a body has come."""
        self._head_bytes = max(0, self._head_bytes - _PIECE_BYTES * len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        """All of a request is there."""
        self._is_coming, self._head_bytes = False, 0
        super().on_message_complete()

    def is_stale(self, now: float) -> bool:
        """Whether it has waited for a request for too long, or for the rest of one."""
        if self.timeout_keep_alive_task is not None:
            return False  # uvicorn sees to it
        if self.cycle is None or self.cycle.response_complete:
            return now - self._since > HEAD_S
        return self._is_coming and now - self._since > BODY_S

    def _refuse_head(self) -> None:
        self._is_coming, self._head_bytes = False, 0
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(_TOO_LARGE)
        self.transport.close()


def close_stale(connections: Iterable[Any], now: float) -> None:
    """Closes those that have sent nothing, or only a part of a request, for too long."""
    for connection in [each for each in connections if each.is_stale(now)]:
        connection.transport.abort()


async def _serve_crowded(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    if canonical(scope["path"]) in PROBES:
        await app(scope, receive, send)
    else:
        error = overloaded(_CROWDED_S)
        error.headers.update(CLOSE)
        await refuse(error, {}, receive, send)


def _too_large() -> ApiError:
    return ApiError(
        431,
        f"The headers are larger than {MOST_HEAD_BYTES} bytes: send less.",
        type="invalid_request_error",
        code="headers_too_large",
        headers=CLOSE,
    )


_TOO_LARGE = whole_answer(_too_large())
