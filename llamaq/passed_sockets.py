"""The listening sockets that systemd passes to a service: sd_listen_fds(3).

systemd keeps them open. So connections wait in them while llamaq restarts, and none is refused.
"""

import logging
import os
import socket
from collections.abc import Sequence

import click

from api.settings import ApiSettings
from llamaq.addresses import EVERYWHERE, in_url

log = logging.getLogger("llamaq.sockets")

_FIRST = 3
_VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID")


def passed_sockets() -> list[socket.socket]:
    """Takes those that are meant for this process, if any. No other program hears of them.

    Raises `click.UsageError` for what is no listening TCP socket.
    """
    told = {name: os.environ.pop(name, "") for name in _VARIABLES}
    if told["LISTEN_PID"] != str(os.getpid()) or not told["LISTEN_FDS"].isdecimal():
        return []
    return [_taken(_FIRST + number) for number in range(int(told["LISTEN_FDS"]))]


def _taken(descriptor: int) -> socket.socket:
    try:
        passed = socket.socket(fileno=descriptor)
    except OSError as error:  # it is a file, or nothing
        raise _refused(descriptor) from error
    if not _is_fit(passed):
        passed.close()
        raise _refused(descriptor)
    passed.set_inheritable(False)
    return passed


def _is_fit(passed: socket.socket) -> bool:
    is_tcp = passed.family in (socket.AF_INET, socket.AF_INET6)
    is_stream = is_tcp and passed.type == socket.SOCK_STREAM
    return is_stream and bool(passed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def _refused(descriptor: int) -> click.UsageError:
    return click.UsageError(
        f"systemd has passed descriptor {descriptor}, which is no listening TCP socket: in the "
        ".socket unit, write ListenStream=ADDRESS:PORT, and leave out Accept="
    )


def at_their_address(settings: ApiSettings, sockets: Sequence[socket.socket]) -> ApiSettings:
    """The settings with the address of the first socket. Warns where another one was set."""
    host, port = _address(sockets[0])
    ours = {"host": host, "port": port}
    told = {name: getattr(settings, name) for name in ours if name in settings.model_fields_set}
    if told != {name: ours[name] for name in told}:
        names = ", ".join(f"--{name} {value}" for name, value in told.items())
        log.warning(
            "systemd has passed the socket %s:%s: %s is not used", in_url(host), port, names
        )
    return settings.model_copy(update=ours)


def _address(passed: socket.socket) -> tuple[str, int]:
    """Where it listens. One for IPv6 and IPv4 is like one for all addresses of IPv4."""
    host, port, *_ = passed.getsockname()
    if host == "::" and not passed.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY):
        host = EVERYWHERE
    return host, port
