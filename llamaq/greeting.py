"""What `llamaq up` prints when it is up: how to use it, and how to add a machine."""

import re
import shlex
import socket
import sys
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import click

from llamaq.embedded_redis import ListenAddress

_SERVER = "http://127.0.0.1:8080"


@dataclass(frozen=True, slots=True)
class Greeting:
    """How to reach this API. `model` is one that a client may ask for, if it is known."""

    host: str
    port: int
    model: str
    token: str = field(repr=False)
    redis_url: str = field(repr=False)
    redis_password: str | None = field(repr=False)
    redis_listen: ListenAddress | None
    data_dir: Path

    @property
    def local_url(self) -> str:
        """The API's address for programs on this machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    def curl(self) -> str:
        """A line to paste: one streamed chat."""
        body = (
            f'{{"model": "{self.model}", "stream": true, '
            '"messages": [{"role": "user", "content": "Hello!"}]}'
        )
        return (
            f"curl -N {shlex.quote(f'{self.local_url}/v1/chat/completions')} "
            f"-H {shlex.quote(f'Authorization: Bearer {self.token}')} "
            f"-H 'Content-Type: application/json' -d {shlex.quote(body)}"
        )

    def bridge_line(self) -> str:
        """The line that joins another llama-server."""
        url = self.redis_url
        if self.redis_listen is not None:
            url = _tcp_url(self.redis_listen, self.redis_password or "")
        return bridge_line(url)

    def show(self) -> None:
        """Prints it all; the token only on a terminal, so that no log keeps it."""
        click.echo(f"llamaq is up: {self.local_url}/v1")
        if not sys.stdout.isatty():
            return
        click.echo(
            f"\nA token for 24 hours:\n{self.token}\n"
            f"Others: llamaq token create NAME --data-dir {shlex.quote(str(self.data_dir))}"
        )
        click.echo(f"\nTry it:\n{self.curl()}")
        if self.redis_listen is not None:
            click.echo(f"\nOn another machine, beside its llama-server:\n{self.bridge_line()}")
        elif self.redis_url.startswith("unix:"):
            click.echo(
                f"\nTo add a llama-server of this machine:\n{self.bridge_line()}\n"
                "To add other machines, start again with --redis-listen 0.0.0.0"
            )
        else:
            click.echo(f"\nTo add a llama-server:\n{self.bridge_line()}")


def bridge_line(redis_url: str) -> str:
    """The line that joins a llama-server on this queue."""
    return f"LLAMAQ_REDIS_URL={shlex.quote(redis_url)} llamaq bridge --server {_SERVER}"


def elsewhere(redis_url: str, address: str) -> str:
    """The URL of the same Redis as seen from another machine, which reaches it at `address`.

    >>> elsewhere("redis://:pw@redis:6379/0", "192.168.1.5")
    'redis://:pw@192.168.1.5:6379/0'
    """
    parts = urlsplit(redis_url)
    if parts.hostname is None:
        raise click.UsageError(
            "this Redis listens on a socket only: start `llamaq up` with --redis-listen"
        )
    login, at, _ = parts.netloc.rpartition("@")
    port = "" if re.search(r"(^[^:]+|\]):\d+$", address) else f":{parts.port or 6379}"
    return urlunsplit(parts._replace(netloc=f"{login}{at}{address}{port}"))


def _tcp_url(listen: ListenAddress, password: str) -> str:
    host = listen.host
    if host in ("0.0.0.0", "::"):  # noqa: S104
        host = _own_address()
    shown = f"[{host}]" if ":" in host else host
    return f"redis://:{quote(password, safe='')}@{shown}:{listen.port}/0"


def _own_address() -> str:
    """The address under which the network knows this machine; no packet is sent for it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return socket.gethostname()
        return str(probe.getsockname()[0])
