"""The embedded Redis of `llamaq up`: whether there is one, where it listens, what it keeps."""

from dataclasses import dataclass, field

import click

from llamaq.addresses import EVERYWHERE
from llamaq.embedded_redis import (
    EmbeddedRedis,
    ListenAddress,
    NoServerFoundError,
    find_server,
    parse_listen,
    plan,
)
from llamaq.embedded_settings import EmbeddedSettings
from llamaq.environment import is_set
from llamaq.home import Home, keep_secret
from llamaq.listening import check_port
from llamaq.redis_tls import RedisTls, plan_tls
from llamaq.settings import load


@dataclass(frozen=True, slots=True)
class UpRedis:
    """The Redis of one `up`. `server` is None where `up` uses a Redis that runs already.

    Other machines reach the embedded one at `listen` with this password, over TLS where it has
    `tls`. All three are None where no other machine is to reach it.
    """

    server: EmbeddedRedis | None
    listen: ListenAddress | None
    password: str | None = field(repr=False)
    tls: RedisTls | None = None


def plan_redis(home: Home, *, listen: str | None, lan: bool, has_tls: bool) -> UpRedis:
    """Plans the Redis, and makes its secrets in `home`. Raises `click.ClickException`."""
    address = _listen_address(listen, lan)
    password = keep_secret(home.redis_password) if address else None
    server = _embedded(home, address, password, has_tls=has_tls)
    tls = plan_tls(home, address, server.socket_path) if server and address and has_tls else None
    return UpRedis(server, address, password, tls)


def _listen_address(text: str | None, lan: bool) -> ListenAddress | None:
    """Where other machines reach it; None where they don't. Raises `click.UsageError`."""
    if lan and not text and not _has_redis():
        text = EVERYWHERE
    try:
        return parse_listen(text) if text else None
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _embedded(
    home: Home, listen: ListenAddress | None, password: str | None, *, has_tls: bool
) -> EmbeddedRedis | None:
    """How to run it; None where there is a Redis already. Raises `click.ClickException`."""
    if _has_redis():
        if listen:
            raise click.UsageError(
                "--redis-listen is for the embedded Redis, but LLAMAQ_REDIS_URL is set"
            )
        return None
    if listen:
        check_port(listen.host, listen.port, "--redis-listen ADDR:PORT")
    try:
        settings: EmbeddedSettings = load({EmbeddedSettings: {}})[EmbeddedSettings]
        return plan(
            find_server(),
            home.folder,
            listen=None if has_tls else listen,
            password=password,
            keeping=settings.keeping,
        )
    except NoServerFoundError as error:
        raise click.ClickException(str(error)) from error


def _has_redis() -> bool:
    """Whether there is a Redis already, so that none is started."""
    return is_set("LLAMAQ_REDIS_URL") or is_set("REDIS_URL")
