"""TLS for other machines that reach the Redis of `llamaq up`."""

import sys
from dataclasses import dataclass
from pathlib import Path

import click

from llamaq.embedded_redis import ListenAddress
from llamaq.greeting import redis_addresses
from llamaq.home import Home

_HERE = "localhost", "127.0.0.1"


@dataclass(frozen=True, slots=True)
class RedisTls:
    """The program that speaks TLS before Redis, and the fingerprint of its CA."""

    command: tuple[str, ...]
    fingerprint: str


def plan_tls(home: Home, listen: ListenAddress, socket_path: Path) -> RedisTls:
    """Makes what it needs in the folder of `up`. Raises `click.ClickException`."""
    from llamaq.redis_certificates import (
        keep_certificates,  # slow to load: only where it is asked for
    )

    hosts = dict.fromkeys([*(each.host for each in redis_addresses(listen)), *_HERE])
    try:
        files = keep_certificates(home.redis_tls, hosts)
    except ValueError as error:
        raise click.ClickException(
            f"The certificates in {home.redis_tls} can't be read ({error}). Move that folder away: "
            "new ones are made, and other machines need new lines."
        ) from error
    module = sys.executable, "-m", "llamaq.redis_door"
    where = listen.host, str(listen.port), str(socket_path), str(files.chain), str(files.key)
    return RedisTls((*module, *where), files.fingerprint)
