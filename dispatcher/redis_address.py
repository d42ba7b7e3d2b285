"""Where a Redis server is, and how to log in there: redis-py reads both from a URL."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Any, TypeVar

from redis.asyncio import ConnectionPool
from redis.asyncio.connection import SSLConnection, UnixDomainSocketConnection

from dispatcher.invited_user import machine_of
from dispatcher.pinned_tls import PinnedConnection
from dispatcher.sentinels import Sentinels

Arg = str | bytes | int | float

_P = TypeVar("_P", bound=asyncio.BaseProtocol)


class RedisAddress:
    """The server that the connections of a redis-py pool lead to.

    With Sentinels it is the primary that they name when a connection is made.
    """

    def __init__(self, pool: ConnectionPool) -> None:
        kind: Any = pool.connection_class
        self._about = kind(**pool.connection_kwargs)  # never connects: it knows what the URL says
        self.invited = machine_of(self._about.username)
        """The name under which this machine was invited; empty where it was not."""
        self._sentinels: Sentinels | None = getattr(pool, "sentinel_manager", None)
        self.own_address = ""
        """What this machine has on the way there; empty where it is the same one, or not known."""

    async def connect(self, protocol: Callable[[], _P]) -> _P:
        """A new connection, with TLS where the URL says so.

        Raises `OSError`, and redis-py's `ConnectionError` where no Sentinel knows the primary.
        """
        loop = asyncio.get_running_loop()
        about = self._about
        if isinstance(about, UnixDomainSocketConnection):
            return (await loop.create_unix_connection(protocol, about.path))[1]
        if isinstance(about, PinnedConnection):
            tls: ssl.SSLContext | None = await about.trusted()
        else:
            tls = about.ssl_context.get() if isinstance(about, SSLConnection) else None
        sentinels = self._sentinels
        place = await sentinels.find() if sentinels else (about.host, about.port)
        transport, made = await loop.create_connection(protocol, *place, ssl=tls)
        self.own_address = _remote(transport.get_extra_info("sockname"))
        _keep_alive(transport.get_extra_info("socket"), about)
        if sentinels:
            sentinels.follow(transport, place)
        return made

    async def login(self) -> list[tuple[Arg, ...]]:
        """What a new connection has to say first."""
        about = self._about
        commands: list[tuple[Arg, ...]] = []
        if about.credential_provider:
            commands.append(("AUTH", *await about.credential_provider.get_credentials_async()))
        elif about.username:
            commands.append(("AUTH", about.username, about.password or ""))
        elif about.password:
            commands.append(("AUTH", about.password))
        if about.client_name:
            commands.append(("CLIENT", "SETNAME", about.client_name))
        if about.db:
            commands.append(("SELECT", about.db))
        return commands


def _remote(name: tuple[str, ...] | None) -> str:
    """The address in a socket's name, unless it is one that only this machine has.

    >>> _remote(("192.168.1.7", 4000)), _remote(("::1", 4000, 0, 0))
    ('192.168.1.7', '')
    """
    address = name[0] if name else ""
    return "" if address.startswith("127.") or address in ("::1", "::ffff:127.0.0.1") else address


def _keep_alive(tcp: socket.socket | None, about: Any) -> None:
    """Asks the system to notice that an idle connection is dead."""
    if tcp is None or not about.socket_keepalive:
        return
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in about.socket_keepalive_options.items():
        tcp.setsockopt(socket.IPPROTO_TCP, name, value)
