"""The options with which a command gets the password of Redis, other than in its address."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from dispatcher.redis_login import with_password
from llamaq.environment import is_set

_FILE = "LLAMAQ_REDIS_PASSWORD_FILE"


def redis_password_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--redis-password-file` and `--ask-password`: they change what the environment says."""
    for option in (_from_file, _asked_for):
        command = option(command)
    return command


def _name_file(_: click.Context, __: click.Parameter, file: Path | None) -> None:
    if file is not None:
        os.environ[_FILE] = str(file)


def _ask(_: click.Context, __: click.Parameter, wanted: bool) -> None:
    name = "LLAMAQ_REDIS_URL" if is_set("LLAMAQ_REDIS_URL") else "REDIS_URL"
    if wanted and is_set(name):  # else that is what people are told
        password = click.prompt("Password of Redis", hide_input=True, err=True)
        os.environ[name] = with_password(os.environ[name], password)


_from_file = click.option(
    "--redis-password-file",
    type=click.Path(path_type=Path),
    callback=_name_file,
    expose_value=False,
    help="File with the password of Redis, where LLAMAQ_REDIS_URL has none.",
)
_asked_for = click.option(
    "--ask-password",
    is_flag=True,
    callback=_ask,
    expose_value=False,
    help="Ask for the password of Redis.",
)
