"""The embedded Redis of `llamaq up`: whether there is one, where it listens, what it keeps."""

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
from llamaq.home import Home
from llamaq.listening import check_port
from llamaq.settings import load


def listen_address(text: str | None, lan: bool) -> ListenAddress | None:
    """Where other machines are to reach it; None where they are not. Raises `click.UsageError`."""
    if lan and not text and not has_redis():
        text = EVERYWHERE
    try:
        return parse_listen(text) if text else None
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def embedded(
    home: Home, listen: ListenAddress | None, password: str | None, *, has_tls: bool
) -> EmbeddedRedis | None:
    """How to run it; None where there is a Redis already. Raises `click.ClickException`."""
    if has_redis():
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


def has_redis() -> bool:
    """Whether there is a Redis already, so that none is started."""
    return is_set("LLAMAQ_REDIS_URL") or is_set("REDIS_URL")
