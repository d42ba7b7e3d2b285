"""What `llamaq up` prints when it is up: how to use it, and how to add a machine."""

import json
import re
import shlex
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import click

from dispatcher.pinned_tls import PIN
from dispatcher.sentinel_address import read_sentinel_address
from llamaq.addresses import Address, in_url, reachable
from llamaq.embedded_redis import ListenAddress

_SERVER = "http://127.0.0.1:8080"
_PYTHON = (
    "import ssl, urllib.request as u; [print(line.decode(), end='') for line in "
    "u.urlopen(u.Request({url!r}, {body!r}.encode(), {headers!r}){more})]"
)
# Certificates name hosts, not 127.0.0.1. These lines stay on this machine.
_UNVERIFIED = ", context=ssl._create_unverified_context()"


@dataclass(frozen=True, slots=True)
class Greeting:
    """How to reach this API. `kept_secret`: the secret in `data_dir` signs its tokens.

    `dashboard` is a link that opens it for an hour. With a `tls_cert` it speaks HTTPS. `redis_ca`
    is the fingerprint of the CA where Redis speaks TLS.
    """

    host: str
    port: int
    token: str = field(repr=False)
    redis_url: str = field(repr=False)
    redis_password: str | None = field(repr=False)
    redis_listen: ListenAddress | None
    data_dir: Path
    kept_secret: bool
    tls_cert: Path | None = None
    redis_ca: str = ""
    dashboard: str = field(default="", repr=False)
    metrics_listen: str = ""

    @property
    def local_url(self) -> str:
        """The API's address for programs on this machine."""
        return url_here(self.host, self.port, has_tls=self.tls_cert is not None)

    def _url(self, host: str) -> str:
        return _url(host, self.port, has_tls=self.tls_cert is not None)

    def chat_line(self, model: str) -> str:
        """A line to paste: one streamed chat, by curl where this machine has it, else by Python."""
        url, bearer = f"{self.local_url}/v1/chat/completions", f"Bearer {self.token}"
        messages = [{"role": "user", "content": "Hello!"}]
        body = json.dumps({"model": model, "stream": True, "messages": messages})
        if not shutil.which("curl"):
            headers = {"Authorization": bearer, "Content-Type": "application/json"}
            more = _UNVERIFIED if self.tls_cert else ""
            program = _PYTHON.format(url=url, body=body, headers=headers, more=more)
            return f"{shlex.quote(sys.executable)} -uc {shlex.quote(program)}"
        options = "-Nk" if self.tls_cert else "-N"
        return (
            f"curl {options} {shlex.quote(url)} -H {shlex.quote(f'Authorization: {bearer}')} "
            f"-H 'Content-Type: application/json' -d {shlex.quote(body)}"
        )

    def bridge_line(self) -> str:
        """The line that joins another llama-server."""
        url = self.redis_url
        if self.redis_listen is not None:
            first = redis_addresses(self.redis_listen)[0]
            port, password = self.redis_listen.port, self.redis_password or ""
            url = tcp_url(first.host, port, password, self.redis_ca)
        return bridge_line(url)

    def show(self) -> None:
        """Prints how to reach it; secrets only on a terminal, so that no log keeps them."""
        click.echo(f"llamaq is up: {self.local_url}/v1")
        if self.metrics_listen:
            url = f"http://{self.metrics_listen}/metrics"
            click.echo(f"Metrics: {url}, and of each bridge at one of the next ports")
        for address in reachable(self.host):
            url = f"{self._url(address.host)}/v1"
            click.echo(f"From other machines: {Address(url, address.interface)}")
        if not sys.stdout.isatty():
            return
        folder = f"--data-dir {shlex.quote(str(self.data_dir))}"
        secret = folder if self.kept_secret else " (with the same LLAMAQ_JWT_SECRET)"
        click.echo(
            f"\nA token for 24 hours:\n{self.token}\nOthers: llamaq token create NAME {secret}"
        )
        click.echo(f"\nDashboard, for an hour (another link: llamaq dashboard):\n{self.dashboard}")
        click.echo(f"\n{self._how_to_add()}:\n{self.bridge_line()}")
        if self.redis_listen is not None and (others := other_addresses(self.redis_listen)):
            click.echo(f"{others} For these: llamaq join ADDRESS {folder}")

    def show_chat_line(self, model: str) -> None:
        """Prints that a worker serves `model`, and on a terminal a line to try it with."""
        click.echo(f"\nA worker serves {model}.")
        if sys.stdout.isatty():
            click.echo(f"Try it:\n{self.chat_line(model)}")

    def _how_to_add(self) -> str:
        if self.redis_listen is not None:
            return "On another machine with llamaq, beside its llama-server, type"
        if self.redis_url.startswith("unix:"):
            return "To add machines, start again with --lan. To add a llama-server of this one"
        return "To add a llama-server"


def url_here(host: str, port: int, *, has_tls: bool) -> str:
    """Where programs on this machine reach an API that listens there.

    >>> url_here("0.0.0.0", 8484, has_tls=False)
    'http://127.0.0.1:8484'
    """
    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return _url(here, port, has_tls=has_tls)


def _url(host: str, port: int, *, has_tls: bool) -> str:
    return f"{'https' if has_tls else 'http'}://{in_url(host)}:{port}"


def redis_addresses(listen: ListenAddress) -> list[Address]:
    """Where bridges reach a Redis that listens there; that of the printed line comes first."""
    return [*reachable(listen.host)] or [Address(listen.host)]


def other_addresses(listen: ListenAddress) -> str:
    """For which machines the printed line is, and what else they may reach; else empty."""
    first, *others = redis_addresses(listen)
    listed = ", ".join(map(str, others))
    return f"It is for machines that reach {first}. Others may reach {listed}." if others else ""


def bridge_line(redis_url: str, *options: str) -> str:
    """The line that joins a llama-server on this queue, with more options of `llamaq bridge`.

    It holds the password, and the space before it keeps it out of the history of most shells.
    """
    words = "llamaq", "bridge", *options, "--server", _SERVER
    return f" LLAMAQ_REDIS_URL={shlex.quote(redis_url)} {shlex.join(words)}"


def elsewhere(redis_url: str, address: str) -> str:
    """The URL of the same Redis as seen from another machine, which reaches it at `address`.

    What is reached at one address is no Sentinel, but a proxy that follows the primary.

    >>> elsewhere("redis://:pw@redis:6379/0", "192.168.1.5")
    'redis://:pw@192.168.1.5:6379/0'
    >>> elsewhere("redis+sentinel://:pw@a,b/main/2?sentinel_password=x", "192.168.1.5")
    'redis://:pw@192.168.1.5:6379/2'
    """
    behind = read_sentinel_address(redis_url)
    parts = urlsplit(behind.server_url if behind else redis_url)
    if parts.hostname is None:
        raise click.UsageError("this Redis listens on a socket only: start `llamaq up` with --lan")
    login, at, _ = parts.netloc.rpartition("@")
    port = "" if re.search(r"(^[^:]+|\]):\d+$", address) else f":{parts.port or 6379}"
    return urlunsplit(parts._replace(netloc=f"{login}{at}{address}{port}"))


def tcp_url(host: str, port: int, password: str, fingerprint: str = "") -> str:
    """The URL of a Redis with a password, for other machines; with TLS where its CA has one."""
    place = f":{quote(password, safe='')}@{in_url(host)}:{port}/0"
    return f"rediss://{place}?{PIN}={fingerprint}" if fingerprint else f"redis://{place}"
