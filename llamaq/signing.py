"""What commands about tokens share: which tokens are believed, and the record of a new one."""

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click

from api.token_values import BadValues, TokenValues, values_in
from llamaq.data_dir import kept_secret
from llamaq.environment import is_set, not_valid
from llamaq.redis_work import with_redis_url


def believed_here(data_dir: Path) -> TokenValues:
    """Which tokens are believed: `secrets` may be empty where other keys verify them.

    Raises `click.ClickException`.
    """
    try:
        secret = kept_secret(data_dir)
    except click.ClickException:
        if not is_set("LLAMAQ_JWT_KEYS") and not is_set("LLAMAQ_JWKS_URL"):
            raise
        secret = None
    return believed_with(secret)


def believed_with(secret: str | None) -> TokenValues:
    """The same with this secret, else that of the environment. Raises `click.UsageError`."""
    try:
        return values_in(os.environ, secret)
    except BadValues as error:
        raise not_valid(error.problems) from None


def record_or_say(claims: Mapping[str, Any], data_dir: Path, which: str = "The token") -> None:
    """Records a new token in Redis. If that fails, says so, and that `which` works all the same."""
    from llamaq.token_work import record  # slow to load

    try:
        with_redis_url(data_dir, partial(record, claims))
    except click.ClickException as error:
        text = f"{which} works, but is not recorded, so `llamaq token list` will not show it"
        click.echo(f"{text}: {error.message}", err=True)
