"""What must be there before a bridge can load models."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import click

from worker_bridge.launcher import DEFAULT_COMMAND
from worker_bridge.shelf import BadShelf, read_shelf


def check_host(models: Path, command: Sequence[str] = ()) -> None:
    """Raises `click.ClickException` where there is no model, or no such program."""
    program = (command or DEFAULT_COMMAND)[0]
    try:
        read_shelf(models)
    except BadShelf as error:
        raise click.ClickException(str(error)) from error
    if shutil.which(program) is None:
        raise click.ClickException(
            f"{program}: there is no such program. Install llama.cpp, or name its server: "
            "llamaq bridge --models DIR -- /path/to/llama-server --parallel 4"
        )
