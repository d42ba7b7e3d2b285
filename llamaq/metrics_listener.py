"""Answers GET /metrics at an address of its own, where no token is asked for.

It runs on the event loop of the process that it tells of, so that nothing needs a lock. A bridge
serves no other HTTP.
"""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import Any

import click

from dispatcher.listen_address import read_listen
from llamaq.listening import listen

log = logging.getLogger("llamaq.metrics")

Text = Callable[[str], Awaitable[tuple[bytes, str]]]
"""Makes the answer for an `Accept` header: its text, and its content type."""

_MOST_BYTES = 8192  # of a request
_MOST_S = 5.0
_MOST_CONNECTIONS = 32


def metrics_option(text: str) -> Callable[[Any], Any]:
    """The option `--metrics-listen`; `text` is its help."""
    return click.option("--metrics-listen", metavar="ADDR:PORT", help=text)


def listen_for_scrapes(address: str) -> list[socket.socket]:
    """The sockets of ADDR:PORT, none for an empty one. Raises `click.ClickException`."""
    if not address:
        return []
    host, port = read_listen(address)
    return listen(host, port, "--metrics-listen")


@asynccontextmanager
async def answering(sockets: Sequence[socket.socket], text: Text) -> AsyncIterator[None]:
    """Answers requests at these sockets while it is entered."""
    answers = _Answers(text)
    servers = [
        await asyncio.start_server(answers.serve, sock=each, limit=_MOST_BYTES) for each in sockets
    ]
    for each in sockets:
        log.info("metrics at http://%s:%s/metrics", *each.getsockname()[:2])
    try:
        yield
    finally:
        for server in servers:
            server.close()


class _Answers:
    def __init__(self, text: Text) -> None:
        self._text = text
        self._open = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Reads one request, answers it, and closes."""
        self._open += 1
        try:
            if self._open <= _MOST_CONNECTIONS:
                async with asyncio.timeout(_MOST_S):
                    head = await reader.readuntil(b"\r\n\r\n")
                writer.write(await self._answer(head.decode("latin-1").split("\r\n")))
                async with asyncio.timeout(_MOST_S):
                    await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError, TimeoutError):
            pass  # whoever that was
        finally:
            self._open -= 1
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, lines: Sequence[str]) -> bytes:
        method, target, *_ = [*lines[0].split(" "), "", ""]
        if method not in ("GET", "HEAD"):
            return _whole(HTTPStatus.METHOD_NOT_ALLOWED, b"use GET\n")
        if target.partition("?")[0] != "/metrics":
            return _whole(HTTPStatus.NOT_FOUND, b"see /metrics\n")
        accept = [line[7:].strip() for line in lines if line.lower().startswith("accept:")]
        try:
            text, content_type = await self._text(",".join(accept))
        except Exception:
            log.exception("the metrics could not be told")
            return _whole(HTTPStatus.INTERNAL_SERVER_ERROR, b"the log says why\n")
        whole = _whole(HTTPStatus.OK, text, content_type)
        return whole if method == "GET" else whole[: -len(text)]


def _whole(status: HTTPStatus, body: bytes, content_type: str = "text/plain") -> bytes:
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        f"content-type: {content_type}",
        f"content-length: {len(body)}",
        "connection: close",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body
