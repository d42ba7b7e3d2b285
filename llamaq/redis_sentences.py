"""A Redis that can't hold the queue ends a command with a sentence in place of a traceback."""

from collections.abc import Iterator
from contextlib import contextmanager

import click

from dispatcher.redis_check import UnfitRedis


@contextmanager
def telling_unfit_redis() -> Iterator[None]:
    """Turns `UnfitRedis` into a `click.ClickException`."""
    try:
        yield
    except UnfitRedis as error:
        raise click.ClickException(str(error)) from error
