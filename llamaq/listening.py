"""The sockets that the API listens on. Its workers inherit them."""

import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import click

SOCKET = "--inherited-socket"
BACKLOG = 4096
"""How many connections may wait until a process takes them; most systems allow no more."""

_TCPI_SACKED = slice(28, 32)  # in `struct tcp_info`; of a listening socket it is the backlog


def listen(host: str, port: int, option: str = "--port") -> list[socket.socket]:
    """Listens on each address of this host. Raises `click.ClickException` where it can't; `option`
    chooses another port.
    """
    opened: list[socket.socket] = []
    try:
        for family, address in _addresses(host, port):
            opened.append(_bound(family, address))
            opened[-1].listen(BACKLOG)
    except OSError as error:
        for each in opened:
            each.close()
        raise _refused(host, port, error, option) from error
    return opened


def check_port(host: str, port: int, option: str = "--port") -> None:
    """Raises `click.ClickException` where nobody could listen; `option` chooses another port."""
    try:
        for family, address in _addresses(host, port):
            _bound(family, address).close()
    except OSError as error:
        raise _refused(host, port, error, option) from error


def backlog_of(listening: socket.socket) -> int:
    """How many connections may wait in it. `create_server` of asyncio sets that again."""
    told = 0
    with suppress(AttributeError, OSError):  # only Linux tells it, of TCP
        info = listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCPI_SACKED.stop)
        told = int.from_bytes(info[_TCPI_SACKED], sys.byteorder)
    return told or BACKLOG


def _addresses(host: str, port: int) -> Sequence[tuple[int, Any]]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys((family, address) for family, _, _, _, address in found))


def _bound(family: int, address: Any) -> socket.socket:
    bound = socket.socket(family)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:  # else it would take the IPv4 port too
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound


def _refused(host: str, port: int, error: OSError, option: str) -> click.ClickException:
    return click.ClickException(
        f"can't listen on {host}:{port} ({error.strerror}); choose another with {option}"
    )
