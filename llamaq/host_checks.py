"""What must be there before a bridge can load models."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import click

from worker_bridge.launcher import DEFAULT_COMMAND, missing_model
from worker_bridge.shelf import BadShelf, read_shelf


def check_host(by: str, models: Path, command: Sequence[str] = ()) -> None:
    """Raises `click.ClickException` where there is no model, or no such program.

    `by` is the command of llamaq that is to start it: `bridge` or `up`.
    """
    try:
        read_shelf(models)
    except BadShelf as error:
        raise click.ClickException(str(error)) from error
    program = (command or DEFAULT_COMMAND)[0]
    _check_program(program, f"{by} --models DIR -- /path/to/llama-server")


def check_command(by: str, command: Sequence[str]) -> None:
    """Raises `click.ClickException` where there is no such program, or not the model it names.

    `by` is as above. Without a command there is nothing to check.
    """
    if not command:
        return
    _check_program(command[0], f"{by} -- /path/to/llama-server -m model.gguf")
    if file := missing_model(command):
        raise click.ClickException(
            f"{file}: there is no such model file. Name a GGUF file with -m, or a model that "
            "llama-server downloads with -hf"
        )


def _check_program(program: str, example: str) -> None:
    if shutil.which(program) is None:
        raise click.ClickException(
            f"{program}: there is no such program. Install llama.cpp, or name its server: "
            f"llamaq {example} --parallel 4"
        )
