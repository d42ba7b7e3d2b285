"""HTTP/1.1 for one client: reads requests in their order, and has the app answer them."""

from asyncio import Event
from typing import Any, cast
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from llamaq.http_answers import MOST_HEADERS, TOO_LARGE
from llamaq.http_cycle import Cycle, News

MOST_PIPELINED = 64
"""Requests that may wait on a connection for the one that is served."""

_PIECE_BYTES = 8  # more than what comes with each byte of a body in pieces of one byte


class _Answered:
    """A request that is answered already, for uvicorn: it throws away what else comes of it."""

    response_complete = True
    message_event = Event()


ANSWERED: Any = _Answered()


class Refused(Exception):
    """A request ends here, and its connection too. It is told these bytes."""


class _RestOfBody:
    """What a parser calls for a body whose headers are known already. It heeds nothing else."""

    def __init__(self, protocol: "HttpProtocol") -> None:
        self._protocol = protocol
        self._is_over = False

    def on_body(self, body: bytes) -> None:
        """A piece of it has come."""
        if not self._is_over:
            self._protocol.on_body(body)

    def on_message_complete(self) -> None:
        """All of it is there."""
        if not self._is_over:
            self._is_over = True
            self._protocol.on_message_complete()


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's, in fewer steps. It counts what comes, and there is at most one answer a request.

    It speaks no other protocol. A client that asks for one gets HTTP/1.1, and its connection ends.
    Some of Java's clients ask for HTTP/2 whenever they may.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._running: RequestResponseCycle = ANSWERED
        self._is_coming = False  # a request has begun, and not all of it is there
        self._has_head = False  # its headers are there
        self._head_bytes = 0  # all that came of it and is no body
        self._body_bytes = 0
        self._hosts = 0
        self._coding = b""
        self._is_last = False  # it has asked for another protocol: nothing after it is read
        self._since = self.loop.time()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone, or was left."""
        self._tell_of_departure()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        if self.timeout_keep_alive_task is not None:
            self._unset_keepalive_if_required()
        self._is_coming, self._has_head = True, False
        self._body_bytes = self._hosts = 0
        self._coding = b""
        self._since = self.loop.time()

    def on_header(self, name: bytes, value: bytes) -> None:
        """One of its headers. Those that follow a body are left out: nobody expects them."""
        if self._has_head:
            return
        name = name.lower()
        if name == b"host":
            self._hosts += 1
        elif name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        elif name == b"transfer-encoding":
            self._coding = value.lower()
        headers = self.headers
        headers.append((name, value))
        if len(headers) > MOST_HEADERS:
            raise Refused(TOO_LARGE)

    def on_headers_complete(self) -> None:
        """All is known of a request but its body. It is served, in its turn."""
        parser, scope = self.parser, self.scope
        scope["http_version"] = version = parser.get_http_version()
        scope["method"] = parser.get_method().decode("ascii")
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
        elif len(self.pipeline) >= MOST_PIPELINED:
            raise Refused(b"")
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))
        self._has_head = True

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        self.tasks.add(self.loop.create_task(cycle.run_asgi(app)))

    def on_body(self, body: bytes) -> None:
        """A piece of a body has come."""
        size, cycle = len(body), self.cycle
        self._body_bytes += size
        self._head_bytes = max(0, self._head_bytes - _PIECE_BYTES * size)
        if not cycle.response_complete:
            cycle.body += body
            if len(cycle.body) > HIGH_WATER_LIMIT:
                self.flow.pause_reading()
            cycle.message_event.set()

    def on_message_complete(self) -> None:
        """All of a request is there; but not where the parser leaves its body out."""
        if self.parser.should_upgrade():
            return
        self._is_coming, self._head_bytes = False, 0
        cycle = self.cycle
        if not cycle.response_complete:
            cycle.more_body = False
            cycle.message_event.set()
        elif self.timeout_keep_alive_task is None:
            self._wait_for_the_next()

    def on_response_complete(self) -> None:
        """All of an answer is written. An idle connection keeps nothing of its last request."""
        self.server_state.total_requests += 1
        self._since = self.loop.time()
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        if self.timeout_keep_alive_task is not None:
            self._unset_keepalive_if_required()
        self._wait_for_the_next()
        self.cycle = self._running = ANSWERED
        self.scope = self.headers = None  # type: ignore[assignment]

    def _wait_for_the_next(self) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def _read(self, data: bytes) -> None:
        """Takes what has come. Raises `httptools.HttpParserError` for what is not HTTP."""
        self._head_bytes += len(data)
        self._unset_keepalive_if_required()
        if self._is_last:
            self._read_rest(data)
            return
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as stopped:
            self._stay_with_http(data[stopped.args[0] :])

    def _stay_with_http(self, rest: bytes) -> None:
        """The parser has stopped before the body of a request that asks for another protocol.

        Another parser reads that body, and nothing after it.
        """
        self._is_last, self.cycle.keep_alive = True, False
        self.parser = httptools.HttpRequestParser(_RestOfBody(self))
        framing = (b"content-length", b"transfer-encoding")
        lines = [b"%b: %b\r\n" % each for each in self.headers if each[0] in framing]
        self.parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n" % b"".join(lines))
        self._read_rest(rest)

    def _read_rest(self, data: bytes) -> None:
        """Takes what has come of the last request's body, and nothing after it."""
        if not self._is_coming:
            return
        try:
            self.parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if self._is_coming:
                raise

    def _end(self, answer: bytes) -> None:
        """Ends the connection, with this answer where the last request has none."""
        if answer and self._may_answer():
            self._note(answer)
            self.transport.write(answer)
        self._is_coming, self._head_bytes = False, 0
        self._tell_of_departure()
        self.transport.close()

    def _note(self, refusal: bytes) -> None:
        """Is told of the answer to a request that is refused here."""

    def _is_served(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _may_answer(self) -> bool:
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            return not (self._is_coming and self._has_head and cycle)
        return not self.pipeline and not cycle.response_started

    def _tell_of_departure(self) -> None:
        """Tells the request that is served. Its connection may have read others after it."""
        cycle = self._running
        if not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
