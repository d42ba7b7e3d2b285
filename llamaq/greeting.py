"""What `llamaq up` prints when it is up: how to use it, and how to add a machine."""

import json
import re
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import click

from dispatcher.pinned_tls import PIN
from dispatcher.sentinel_address import read_sentinel_address
from llamaq.addresses import Address, here, in_url, reachable
from llamaq.embedded_redis import ListenAddress
from llamaq.home import DEFAULT_FOLDER
from worker_bridge.launcher import EXAMPLE

_SERVER = "http://127.0.0.1:8080"
_OTHER_SERVER = "http://127.0.0.1:8090"  # one that no bridge finds
_PYTHON = (
    "import ssl, urllib.request as u; [print(line.decode(), end='') for line in "
    "u.urlopen(u.Request({url!r}, {body!r}.encode(), {headers!r}){more})]"
)
# Certificates name hosts, not 127.0.0.1. These lines stay on this machine.
_HELLO = [{"role": "user", "content": "Hello!"}]
_TRIALS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "chat": ("/v1/chat/completions", {"stream": True, "messages": _HELLO}),
    "embedding": ("/v1/embeddings", {"input": "Hello!"}),
    "rerank": ("/v1/rerank", {"query": "Hello!", "documents": ["Good morning!", "Rain."]}),
}
_UNVERIFIED = ", context=ssl._create_unverified_context()"


@dataclass(frozen=True, slots=True)
class Greeting:
    """How to reach this API. `kept_secret`: the secret in `data_dir` signs its tokens.

    `dashboard` is a link that opens it for an hour. With a `tls_cert` it speaks HTTPS. `redis_ca`
    is the fingerprint of the CA where Redis speaks TLS. It `finds` the llama-servers of this
    machine that answer on the usual ports. It `expects` a worker soon, or `starts` its server.
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
    finds: bool = False
    expects: bool = True
    starts: bool = False

    @property
    def local_url(self) -> str:
        """The API's address for programs on this machine."""
        return url_here(self.host, self.port, has_tls=self.tls_cert is not None)

    def _url(self, host: str) -> str:
        return _url(host, self.port, has_tls=self.tls_cert is not None)

    def line_to_try(self, model: str, kind: str = "chat") -> str:
        """A line to paste: one request of this kind, a chat streamed; empty for other kinds."""
        if kind not in _TRIALS:
            return ""
        path, fields = _TRIALS[kind]
        return self._line(path, {"model": model, **fields})

    def _line(self, path: str, fields: Mapping[str, Any]) -> str:
        """One request by curl where this machine has it, else by Python."""
        url, bearer, body = f"{self.local_url}{path}", f"Bearer {self.token}", json.dumps(fields)
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

    def bridge_lines(self) -> tuple[str, str]:
        """The lines that join one more llama-server: one that runs, and one that is started."""
        url = self.redis_url
        if self.redis_listen is not None:
            first = redis_addresses(self.redis_listen)[0]
            port, password = self.redis_listen.port, self.redis_password or ""
            url = tcp_url(first.host, port, password, self.redis_ca)
        is_here = self.finds and self.redis_listen is None
        return bridge_line(url, server=_OTHER_SERVER if is_here else _SERVER), starting_line(url)

    def show_waiting(self) -> None:
        """Prints that the API runs and no worker is there yet, and how to add one."""
        what = "until its llama-server has loaded the model" if self.starts else "for a worker"
        click.echo(f"llamaq waits {what}. Its API runs: {self.local_url}/v1")
        self._show_more()

    def show(self, models: Sequence[str], kind: str, *, is_new: bool = True) -> None:
        """Prints how to use the first of these models, which workers serve. See `Served`.

        If it `is_new`, it also prints how to add a worker. It shows secrets only on a terminal, so
        that no log keeps them.
        """
        click.echo(f"\nllamaq is up: {self.local_url}/v1")
        if self.metrics_listen:
            url = f"http://{self.metrics_listen}/metrics"
            click.echo(f"Metrics: {url}, and of each bridge at one of the next ports")
        for address in reachable(self.host):
            url = f"{self._url(address.host)}/v1"
            click.echo(f"From other machines: {Address(url, address.interface)}")
        click.echo(f"A worker serves {', '.join(models)}.")
        if not sys.stdout.isatty():
            return
        folder = self._folder if self.kept_secret else " (with the same LLAMAQ_JWT_SECRET)"
        click.echo(
            f"\nA token for 24 hours:\n{self.token}\nOthers: llamaq token create NAME{folder}"
        )
        if line := self.line_to_try(models[0], kind):
            click.echo(f"\nTry it:\n{line}")
        click.echo(
            f"Other clients: base URL {self.local_url}/v1, the token as API key, model {models[0]}"
        )
        if is_new:
            self._show_more()

    @property
    def _folder(self) -> str:
        """The option that names it, where commands would not find it without."""
        is_found = self.data_dir == DEFAULT_FOLDER.expanduser()
        return "" if is_found else f" --data-dir {shlex.quote(str(self.data_dir))}"

    def _show_more(self) -> None:
        if not sys.stdout.isatty():
            return
        click.echo(f"\nDashboard, for an hour (another link: llamaq dashboard):\n{self.dashboard}")
        running, starting = self.bridge_lines()
        click.echo(f"\n{self._how_to_add()}:\n{running}")
        click.echo(f"or, where the bridge is to start its llama-server:\n{starting}")
        if self.redis_listen is not None:
            for line in for_whom(self.redis_listen, f"llamaq join ADDRESS{self._folder}"):
                click.echo(line)

    def _how_to_add(self) -> str:
        if self.redis_listen is not None:
            return "On another machine with llamaq, beside its llama-server, type"
        if self.redis_url.startswith("unix:"):
            which = " on another port" if self.finds else ""
            return (
                f"To add machines, start again with --lan. To add a llama-server of this one{which}"
            )
        return "To add a llama-server"


def url_here(host: str, port: int, *, has_tls: bool) -> str:
    """Where programs on this machine reach an API that listens there.

    >>> url_here("0.0.0.0", 8484, has_tls=False)
    'http://127.0.0.1:8484'
    """
    return _url(here(host), port, has_tls=has_tls)


def _url(host: str, port: int, *, has_tls: bool) -> str:
    return f"{'https' if has_tls else 'http'}://{in_url(host)}:{port}"


def redis_addresses(listen: ListenAddress) -> list[Address]:
    """Where bridges reach a Redis that listens there; that of the printed line comes first."""
    return [*reachable(listen.host)] or [Address(listen.host)]


def for_whom(listen: ListenAddress, command: str) -> Iterator[str]:
    """Says for which machines the printed line is, and which command prints that for others.

    The `command` has ADDRESS in it. Of a single address there is nothing to say.
    """
    first, *others = redis_addresses(listen)
    if others:
        yield f"This is for machines that reach {first}. For those that reach"
    for other in others:
        yield f"- {other}: {command.replace('ADDRESS', in_url(other.host))}"


def bridge_line(redis_url: str, *options: str, server: str = _SERVER) -> str:
    """The line that joins a llama-server on this queue, with more options of `llamaq bridge`.

    It holds the password, and the space before it keeps it out of the history of most shells.
    """
    return _joining(redis_url, *options, "--server", server)


def starting_line(redis_url: str, *options: str) -> str:
    """The same where the bridge is to start its llama-server."""
    return _joining(redis_url, *options, "--", *EXAMPLE)


def _joining(redis_url: str, *words: str) -> str:
    command = shlex.join(("llamaq", "bridge", *words))
    return f" LLAMAQ_REDIS_URL={shlex.quote(redis_url)} {command}"


def redis_url_at(redis_url: str, address: str) -> str:
    """The URL of the same Redis as seen from another machine, which reaches it at `address`.

    A single address is no Sentinel's, but that of a proxy which follows the primary.

    >>> redis_url_at("redis://:pw@redis:6379/0", "192.168.1.5")
    'redis://:pw@192.168.1.5:6379/0'
    >>> redis_url_at("redis+sentinel://:pw@a,b/main/2?sentinel_password=x", "192.168.1.5")
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
