"""Bounds on what a connection may cost before anything is known of its sender."""

from asyncio import Transport
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import httptools

from api.door import Door
from api.request_log import NO_ID, Record, write
from llamaq.http_answers import (
    BODY_BYTES_S,
    CROWDED,
    LARGE_HEAD_BYTES,
    MOST_HEAD_BYTES,
    NOT_HTTP,
    REASONS,
    TOO_LARGE,
    TOO_SLOW,
    WRONG_HOST,
)
from llamaq.http_protocol import ANSWERED, HttpProtocol, Refused
from llamaq.places import MOST_HEADS_BYTES, MOST_REFUSED, Places, serve_refusal

MOST_CONNECTIONS = 16_384
HEAD_S = 30.0
BODY_S = 600.0
BODY_GRACE_S = 10.0
UNREAD_S = 60.0
"""A client that reads less than `BODY_BYTES_S` for this long is left."""

_MAPPED = "::ffff:"  # begins an IPv4 address on a socket for IPv6 and IPv4 (RFC 4291 §2.5.5.2)
_NONE = (b"",)
_CODINGS = (b"", b"chunked")


class BoundedProtocol(HttpProtocol):
    """HTTP/1.1 with bounds.

    Connections beyond the `places` are refused, but for those that ask whether we live.
    """

    places = Places(MOST_CONNECTIONS)
    come: Callable[[], None] = staticmethod(lambda: None)
    """Is told of each connection."""
    door: Door | None = None
    """Turns requests away before the app hears of them."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._place: str | None = None  # the host for which a place is taken
        self._held_bytes = 0  # of `places.head_bytes`
        self._unread: tuple[int, float] | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """A client has come."""
        super().connection_made(transport)
        if self.client and self.client[0].startswith(_MAPPED):
            self.client = self.client[0].removeprefix(_MAPPED), self.client[1]
        self.come()
        places, host = self.places, self.client[0] if self.client else ""
        name = places.name(host)
        if places.proxies.trusts(host):
            self.app = partial(places.serve_proxy, self.app)
        refusal = places.take(name)
        if refusal is None:
            self._place = name
        elif len(self.connections) > places.taken + MOST_REFUSED:
            transport.abort()
        else:
            self.app = partial(serve_refusal, refusal, self.app)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone, or was left."""
        if self._place is not None:
            self.places.give_back(self._place)
            self._place = None
        self._drop_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """What the client sends."""
        try:
            self._read(data)
        except httptools.HttpParserError as error:
            why = error.__context__
            self._end(why.args[0] if isinstance(why, Refused) else NOT_HTTP)
        else:
            if self._head_bytes > LARGE_HEAD_BYTES:
                self._hold_head()

    def _hold_head(self) -> None:
        """Much has come that is no body. What follows the headers is not kept."""
        if self._head_bytes > MOST_HEAD_BYTES:
            self._end(TOO_LARGE)
        elif not self._has_head:
            self.places.head_bytes += self._head_bytes - self._held_bytes
            self._held_bytes = self._head_bytes
            if self.places.head_bytes > MOST_HEADS_BYTES:
                self._end(CROWDED)

    def _drop_head(self) -> None:
        if self._held_bytes:
            self.places.head_bytes -= self._held_bytes
            self._held_bytes = 0

    def on_headers_complete(self) -> None:
        """All is known of a request but its body."""
        version = self.parser.get_http_version()
        if self._head_bytes > LARGE_HEAD_BYTES:
            self._drop_head()
            self._check_size()
        if version != "1.1" or self._hosts != 1 or self._coding not in _CODINGS:
            self._check_form(version)
        door = self.door
        answer = None
        if door is not None and door.line.long_since is not None and self._is_plain():
            answer = door.refusal(self.url, self.headers, self._peer)
        if answer is None:
            super().on_headers_complete()
        else:
            self.transport.write(answer)
            self._has_head, self.cycle = True, ANSWERED
            self.on_response_complete()

    def _check_size(self) -> None:
        """Raises `Refused`. What has come may be more than the headers: a part is the body."""
        if self._head_bytes <= MOST_HEAD_BYTES:
            return
        size = len(self.url) + sum([len(name) + len(value) for name, value in self.headers])
        if size > MOST_HEAD_BYTES:
            raise Refused(TOO_LARGE)

    def _check_form(self, version: str) -> None:
        """Raises `Refused` for what others may read in another way (RFC 9112 §2.3, §3.2, §6.1)."""
        if self._coding not in (_CODINGS if version == "1.1" else _NONE):
            raise Refused(NOT_HTTP)
        if version not in ("1.0", "1.1"):
            raise Refused(NOT_HTTP)
        if self._hosts > 1 or (not self._hosts and version == "1.1"):
            raise Refused(WRONG_HOST)

    def _peer(self) -> str | None:
        """The address that the request comes from, behind trusted proxies too."""
        host = self.client[0] if self.client else ""
        if self.places.proxies.trusts(host):
            host = self.places.behind_proxies(self.headers or ()) or host
        return host or None

    def _note(self, refusal: bytes) -> None:
        """Logs a request that is refused here."""
        status, code = REASONS[refusal]
        if self._is_served():  # its own line will
            self.cycle.scope["state"]["refused"] = status, code
            return
        path = self.url.partition(b"?")[0].decode("latin-1") if self._is_coming else ""
        method = self.parser.get_method().decode("latin-1") if path else None
        write(Record(NO_ID, method, path or None, self._peer(), status, code), path)

    def _is_plain(self) -> bool:
        """Whether it is a POST that keeps its connection open, and the first in line."""
        return (
            (self.cycle is None or self.cycle.response_complete)
            and self.parser.get_method() == b"POST"
            and self.parser.get_http_version() == "1.1"
            and self.parser.should_keep_alive()
            and not self.expect_100_continue
            and not self.parser.should_upgrade()
        )

    def resume_writing(self) -> None:
        """The client has read most of what waited for it."""
        self._unread = None
        super().resume_writing()

    def look(self, now: float) -> None:
        """Ends a connection that waits for its client for too long. Is called every few seconds."""
        if self._is_unread(now):
            self.transport.abort()
        elif self.timeout_keep_alive_task is not None or self.transport.is_closing():
            return  # uvicorn sees to the first
        elif self.flow.read_paused:
            self._since, self._body_bytes = now, 0  # we are not ready for more
        elif self._is_late(now - self._since):
            self._end(TOO_SLOW if self._is_coming else b"")

    def _is_late(self, waited_s: float) -> bool:
        if self._is_coming and self._has_head:
            return waited_s > min(BODY_S, BODY_GRACE_S + self._body_bytes / BODY_BYTES_S)
        return waited_s > HEAD_S and (self.cycle is None or self.cycle.response_complete)

    def _is_unread(self, now: float) -> bool:
        """Whether the client has read nearly nothing for too long, though much waits for it.

        TLS does not tell how much that is once the connection closes: it has its own time for that.
        """
        is_closing = self.scheme == "http" and self.transport.is_closing()
        if not self.flow.write_paused and not is_closing:
            return False
        left = self.transport.get_write_buffer_size()
        before, since = self._unread or (left, now)
        if self._unread is None or before - left >= BODY_BYTES_S * (now - since) > 0:
            self._unread = left, now
        return now - since > UNREAD_S


def look_at_all(connections: Iterable[Any], now: float) -> None:
    """Ends those that wait for their clients for too long."""
    for connection in list(connections):
        connection.look(now)
