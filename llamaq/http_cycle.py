"""One request and its answer, with fewer steps of the event loop than uvicorn takes for them."""

import asyncio
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import (
    HEADER_RE,
    HEADER_VALUE_RE,
    STATUS_LINE,
    RequestResponseCycle,
)

if TYPE_CHECKING:
    from uvicorn._types import (
        ASGI3Application,
        ASGISendEvent,
        HTTPResponseBodyEvent,
        HTTPResponseStartEvent,
    )

_BODILESS = (204, 304)


class News:
    """asyncio's Event as far as a cycle needs it, at a part of the cost."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._is_set = False
        self._waiters: list[asyncio.Future[None]] = []

    def set(self) -> None:
        """There is news."""
        self._is_set = True
        while self._waiters:
            waiter = self._waiters.pop()
            if not waiter.done():
                waiter.set_result(None)

    def clear(self) -> None:
        """It was taken."""
        self._is_set = False

    async def wait(self) -> None:
        """Returns when there is news."""
        if not self._is_set:
            waiter = self._loop.create_future()
            self._waiters.append(waiter)
            await waiter


class Cycle(RequestResponseCycle):
    """Sends the head of an answer together with the first piece of its body.

    The apps send both without a pause. A task that waits to receive hears of the end of the answer
    when the app has returned: most tasks have ended by then.
    """

    tasks: set[asyncio.Task[None]]
    _head: bytes = b""

    async def run_asgi(self, app: "ASGI3Application") -> None:
        """Runs the app, to its end or its fault. A callback at its end would cost one more step."""
        await super().run_asgi(app)
        self.message_event.set()
        if (task := asyncio.current_task()) is not None:
            self.tasks.discard(task)

    async def send(self, message: "ASGISendEvent") -> None:
        """Sends a part of the answer (ASGI)."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if message["type"] == "http.response.start" and not self.response_started:
            self._begin(message)
        elif self.response_complete or message["type"] != "http.response.body":
            raise RuntimeError(f"The app sent {message['type']} where it must not.")
        elif self.response_started:
            self._go_on(message)
        else:
            raise RuntimeError("The app sent a body without a head.")

    def _begin(self, message: "HTTPResponseStartEvent") -> None:
        """Makes the head, which waits for what follows it."""
        self.response_started, self.waiting_for_100_continue = True, False
        status = message["status"]
        headers = [*self.default_headers, *message.get("headers", ())]
        lines = [STATUS_LINE[status]]
        is_closing = False
        for name, value in headers:
            name = name.lower()
            lines.append(b"%b: %b\r\n" % (name, value))
            if name == b"content-length":
                self.chunked_encoding, self.expected_content_length = False, int(value)
            elif name == b"connection" and b"close" in value.lower():
                self.keep_alive, is_closing = False, True
        _check(headers)
        if not self.keep_alive and not is_closing:
            lines.append(b"connection: close\r\n")
        has_body = self.scope["method"] != "HEAD" and status not in _BODILESS
        if self.chunked_encoding is None and has_body:
            self.chunked_encoding = True
            lines.append(b"transfer-encoding: chunked\r\n")
        lines.append(b"\r\n")
        self._head = b"".join(lines)

    def _go_on(self, message: "HTTPResponseBodyEvent") -> None:
        body, is_last = message.get("body", b""), not message.get("more_body", False)
        head, self._head = self._head, b""
        if self.scope["method"] == "HEAD":
            body, self.expected_content_length = b"", 0
        elif not self.chunked_encoding:
            self.expected_content_length -= len(body)
        elif body:
            end = b"\r\n0\r\n\r\n" if is_last else b"\r\n"
            body = b"%x\r\n%b%b" % (len(body), body, end)
        elif is_last:
            body = b"0\r\n\r\n"
        if self.expected_content_length < 0:
            raise RuntimeError("The answer is longer than it said.")
        if head or body:
            self.transport.write(b"".join((head, body)))
        if is_last:
            self._end()

    def _end(self) -> None:
        if self.expected_content_length:
            raise RuntimeError("The answer is shorter than it said.")
        self.response_complete = True
        if not self.keep_alive:
            self.transport.close()
        self.on_response()


def _check(headers: list[Any]) -> None:
    """No header may hold what would begin another one."""
    if HEADER_RE.search(b"".join([name for name, _ in headers])):
        raise RuntimeError("A header has a name that is none.")
    if HEADER_VALUE_RE.search(b"".join([value for _, value in headers])):
        raise RuntimeError("A header has a value that none may have.")
