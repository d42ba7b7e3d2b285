"""One ggml-rpc-server that a llama-server uses: its address, and whether it lives.

It serves one connection, that of its llama-server, until that ends. At most two more wait, those
that were closed meanwhile among them. So a probe that is an ordinary connection takes a place, and
the third one finds no answer. See ADR 25.
"""

import asyncio
import logging
import os
import re
import socket
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

log = logging.getLogger("llamaq.health")

_KNOCK_S = 1.0
_ATTACH_S = 4.0  # the system finds out within 3 s that a machine of its network is off
_AT_ONCE_S = 1.0
_ADDRESS = re.compile(r"([\w.-]{1,253}):(\d{1,5})", re.ASCII)
_KEEPALIVE = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 3}


@dataclass(frozen=True, slots=True)
class Peer:
    """The address of a ggml-rpc-server. llama.cpp knows no IPv6 addresses here."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def read_peers(text: str) -> tuple[Peer, ...]:
    """Reads HOST:PORT,HOST:PORT. Raises `ValueError` with a sentence for people.

    >>> [str(peer) for peer in read_peers("10.0.0.2:50052, gpu3:50052")]
    ['10.0.0.2:50052', 'gpu3:50052']
    """
    named = [word.strip() for word in text.split(",") if word.strip()]
    peers = tuple(_read_peer(word) for word in named)
    for peer in peers:
        if peers.count(peer) > 1:
            raise ValueError(f"{peer} stands there twice")
    return peers


def _read_peer(word: str) -> Peer:
    found = _ADDRESS.fullmatch(word)
    if not found or not 1 <= int(found[2]) <= 65535:
        raise ValueError(f"{word[:80]!r} is no HOST:PORT of a ggml-rpc-server, such as gpu2:50052")
    return Peer(found[1], int(found[2]))


class WatchedPeer:
    """A peer, as long as its llama-server has its model: its end tells `lost`.

    `trouble` says why it does not answer. One that `is_lost` has ended since its llama-server
    began to use it: the llama-server can't go on, though the peer may be back.
    """

    def __init__(self, peer: Peer, lost: Callable[[], None]) -> None:
        self.peer = peer
        self.trouble = ""
        self.is_lost = False
        self._lost = lost
        self._line: _Line | None = None
        self._takes_line = True

    async def knock(self) -> None:
        """Finds out whether it answers."""
        self.trouble = _in_words(await asyncio.to_thread(_knock, self.peer))

    async def attend(self) -> None:
        """Holds a connection to it: nothing is said on it, and it ends with the peer."""
        if self._line is not None or self.is_lost:
            return
        error = await (self._open() if self._takes_line else asyncio.to_thread(_knock, self.peer))
        self.trouble = _in_words(error)
        if isinstance(error, ConnectionRefusedError):
            self._lose()
        elif isinstance(error, TimeoutError):  # it may be full: others may have connected to it
            self._can_not_be_watched("gives no answer to a connection")
            self.trouble = ""

    def let_go(self) -> None:
        """Ends the connection: the peer would wait for it, and its next llama-server with it."""
        if self._line is not None:
            self._line.close()
            self._line = None

    def leave_alone(self) -> None:
        """Its llama-server sleeps: it must find no other connection when it wakes, now or later."""
        self.let_go()
        self._can_not_be_watched("has a llama-server that sleeps or stands still at times")

    def forget(self) -> None:
        """Another process of the llama-server begins to use it."""
        self.is_lost, self._takes_line = False, True

    async def _open(self) -> OSError | None:
        line = _Line(self._line_broke)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_ATTACH_S):
                await loop.create_connection(
                    lambda: line, self.peer.host, self.peer.port, family=socket.AF_INET
                )
        except OSError as error:
            return error
        self._line = line
        return None

    def _line_broke(self, *, politely_at_once: bool) -> None:
        self._line = None
        self.trouble = "it has ended its connection"
        if politely_at_once:  # one that ends resets it
            self._can_not_be_watched("closes a connection that it can't use")
        else:
            self._lose()

    def _lose(self) -> None:
        log.warning("the RPC peer %s was lost", self.peer)
        self.is_lost = True
        self._lost()

    def _can_not_be_watched(self, how: str) -> None:
        if self._takes_line:
            log.warning("the RPC peer %s %s: a quick restart of it goes unnoticed", self.peer, how)
        self._takes_line = False


class _Line(asyncio.Protocol):
    """A connection on which nothing is said."""

    def __init__(self, broke: Callable[..., None]) -> None:
        self._broke: Callable[..., None] | None = broke
        self._transport: asyncio.BaseTransport | None = None
        self._began_at = time.monotonic()

    def close(self) -> None:
        """Ends it; that is told to nobody."""
        self._broke = None
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`. A machine that loses its power is noticed within 11 s."""
        self._transport = transport
        wire: socket.socket = transport.get_extra_info("socket")
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE.items():
            if hasattr(socket, name):
                wire.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        if self._broke is not None:
            at_once = time.monotonic() - self._began_at < _AT_ONCE_S
            self._broke(politely_at_once=exc is None and at_once)


def _knock(peer: Peer) -> OSError | None:
    """Connects without a trace: the peer's program sees nothing of it. None where that works.

    It runs in a thread, so that nothing comes between the two moments.
    """
    try:
        found = socket.getaddrinfo(peer.host, peer.port, socket.AF_INET, socket.SOCK_STREAM)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as wire:
            wire.settimeout(_KNOCK_S)
            if sys.platform == "linux":  # the last step of the handshake never comes, but a reset
                wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
                wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            wire.connect(found[0][4])
    except OSError as error:
        return error
    return None


def _in_words(error: OSError | None) -> str:
    if error is None:
        return ""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, socket.gaierror) or not error.errno:
        return str(error.strerror or error)
    return os.strerror(error.errno).lower()
