"""`llamaq --help` tells of each command what its module says, without loading it."""

from importlib import import_module

import click
import pytest
from click.testing import CliRunner

from llamaq.__main__ import main

NAMES = main.list_commands(click.Context(main))


@pytest.mark.parametrize("name", NAMES)
def test_help_tells_what_the_command_says(name: str) -> None:
    command = getattr(import_module(f"llamaq.{name}_command"), name)
    shown = " ".join(CliRunner().invoke(main, ["--help"]).stdout.split())
    said = command.get_short_help_str(200).rstrip(".")
    assert f"{name} {said}" in shown
