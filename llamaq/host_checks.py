"""What must be there before a bridge can load models."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import click

from worker_bridge.launcher import DEFAULT_COMMAND, missing_model
from worker_bridge.shelf import BadShelf, read_shelf


def check_host(models: Path, command: Sequence[str] = ()) -> None:
    """Raises `click.ClickException` where there is no model, or no such program."""
    try:
        read_shelf(models)
    except BadShelf as error:
        raise click.ClickException(str(error)) from error
    _check_program((command or DEFAULT_COMMAND)[0], "--models DIR -- /path/to/llama-server")


def check_command(command: Sequence[str]) -> None:
    """Raises `click.ClickException` where there is no such program, or not the model it names.

    Without a command there is nothing to check.
    """
    if not command:
        return
    _check_program(command[0], "-- /path/to/llama-server -m model.gguf")
    if file := missing_model(command):
        raise click.ClickException(
            f"{file}: there is no such model file. Name a GGUF file with -m, or a model that "
            "llama-server downloads with -hf"
        )


def _check_program(program: str, example: str) -> None:
    if shutil.which(program) is None:
        raise click.ClickException(
            f"{program}: there is no such program. Install llama.cpp, or name its server: "
            f"llamaq bridge {example} --parallel 4"
        )
