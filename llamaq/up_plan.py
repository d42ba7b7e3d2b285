"""What `llamaq up` starts: all that is known before it starts anything."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dispatcher.listen_address import read_listen
from llamaq.embedded_redis import EmbeddedRedis
from llamaq.home import Home

DEMO_MODEL = "demo"
METRICS_LISTEN = "LLAMAQ_METRICS_LISTEN"
_DEMO_SERVERS = 2


@dataclass(frozen=True, slots=True)
class UpPlan:
    """The processes of one `llamaq up`. `environments` has a name for each of them.

    `redis` is None where another Redis is used. `bridges` are the arguments of `llamaq bridge`, one
    list per bridge. `greeting` is what `greeter.py` is handed. `redis_tls` is the program that
    speaks TLS before Redis, if any. `sockets` are open, for the API to listen on; where
    there are none, it opens its own.
    """

    home: Home
    redis: EmbeddedRedis | None
    bridges: Sequence[Sequence[str]]
    environments: Mapping[str, Mapping[str, str]] = field(repr=False)
    greeting: bytes = field(repr=False)
    drain_s: float
    log_level: str
    once: bool
    redis_tls: Sequence[str] = ()
    sockets: Sequence[int] = ()

    @property
    def bridge_arguments(self) -> list[list[str]]:
        """Those of each bridge, with where it has its metrics."""
        return with_metrics(self.bridges, self.environments["api"][METRICS_LISTEN])


def with_metrics(bridges: Sequence[Sequence[str]], listen: str) -> list[list[str]]:
    """The arguments of the bridges, each with the next port after that of the API's metrics.

    >>> with_metrics([["--server", "http://a"]], "127.0.0.1:9464")
    [['--metrics-listen', '127.0.0.1:9465', '--server', 'http://a']]
    """
    if not listen:
        return [[*each] for each in bridges]
    first = read_listen(listen)
    return [
        ["--metrics-listen", str(first.next(number)), *each]
        for number, each in enumerate(bridges, start=1)
    ]


def starting_bridges(models: Path | None, command: Sequence[str]) -> list[list[str]]:
    """The bridge that starts servers: with models one for that which is wanted, else `command`.

    >>> starting_bridges(Path("/models"), ["llama-server", "-ngl", "99"])
    [['--models', '/models', '--', 'llama-server', '-ngl', '99']]
    >>> starting_bridges(None, [])
    []
    """
    place = ["--models", str(models.expanduser().absolute())] if models else []
    words = [*place, *(["--", *command] if command else [])]
    return [words] if words else []


def demo_bridges(model: Path) -> list[list[str]]:
    """The bridges of `up --demo`: each starts a real llama.cpp server of its own."""
    server = [sys.executable, "-m", "llamaq.demo_server", "--model", str(model)]
    options = ["--alias", DEMO_MODEL, "--parallel", "4", "--ctx-size", "8192", "--metrics"]
    names = [f"demo{number + 1}" for number in range(_DEMO_SERVERS)]
    return [["--name", name, "--", *server, *options] for name in names]
