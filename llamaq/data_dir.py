"""Finds what `llamaq up` keeps, for the commands that are used beside it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from llamaq.embedded_redis import ListenAddress, parse_listen
from llamaq.environment import is_set
from llamaq.home import DEFAULT_FOLDER, Home


def data_dir_option(text: str) -> Callable[[Any], Any]:
    """The option `--data-dir`, with the default of `up`; `text` is its help."""
    return click.option(
        "--data-dir",
        type=click.Path(file_okay=False, path_type=Path),
        envvar="LLAMAQ_DATA_DIR",
        show_envvar=True,
        default=DEFAULT_FOLDER,
        show_default=True,
        help=text,
    )


def beside_up_option(variables: str = "LLAMAQ_REDIS_URL") -> Callable[[Any], Any]:
    """The same for a command beside an `up`; `variables` of the environment say the same."""
    return data_dir_option(
        f"Folder of a `llamaq up`. On the command line it overrides {variables}; as "
        "LLAMAQ_DATA_DIR it does not."
    )


def kept_secret(data_dir: Path) -> str | None:
    """The secret of the `up` with this folder; None where that of the environment counts."""
    if not _goes_first() and is_set("LLAMAQ_JWT_SECRET"):
        return None
    home = Home(data_dir.expanduser())
    return _read(
        home.jwt_secret,
        f"no `llamaq up` has made a secret in {home.folder}: name its folder with --data-dir, or "
        "set LLAMAQ_JWT_SECRET to the secret that the API has",
    )


def kept_redis_url(data_dir: Path) -> str | None:
    """The address of the Redis of the `up` with this folder; None as for `kept_secret`."""
    if not _goes_first() and (is_set("LLAMAQ_REDIS_URL") or is_set("REDIS_URL")):
        return None
    home = Home(data_dir.expanduser())
    return _read(
        home.redis_url,
        f"no `llamaq up` with a Redis of its own runs in {home.folder}: start it, name its folder "
        "with --data-dir, or set LLAMAQ_REDIS_URL to the Redis that it uses",
    )


def kept_api_url(data_dir: Path) -> str | None:
    """The address of the API of the `up` with this folder, for this machine. None as for
    `kept_secret`, and where no `up` has written it.
    """
    if not _goes_first() and is_set("LLAMAQ_JWT_SECRET"):
        return None
    path = Home(data_dir.expanduser()).api_url
    return _read(path, "") if path.exists() else None


def kept_listen(data_dir: Path) -> tuple[ListenAddress, str, str]:
    """Where the Redis of a running `up` listens for other machines, and its password.

    Then the fingerprint of its CA, which is empty where it speaks no TLS.
    """
    home = Home(data_dir.expanduser())
    closed = (
        f"the `llamaq up` in {home.folder} lets no other machine reach its Redis: "
        "start it again with --lan"
    )
    fingerprint = _read(home.redis_ca, closed) if home.redis_ca.exists() else ""
    listen = parse_listen(_read(home.redis_listen, closed))
    return listen, _read(home.redis_password, closed), fingerprint


def _goes_first() -> bool:
    """Whether the folder is on the command line."""
    source = click.get_current_context().get_parameter_source("data_dir")
    return source is ParameterSource.COMMANDLINE


def _read(path: Path, missing: str) -> str:
    try:
        return path.read_text().strip()
    except (FileNotFoundError, NotADirectoryError):
        raise click.ClickException(missing) from None
    except OSError as error:
        raise click.ClickException(f"can't read {path}: {error.strerror}") from error
