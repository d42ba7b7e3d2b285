"""The option `--json`, which each command has that prints something and ends."""

import json
from typing import Any

import click

json_option = click.option("--json", "for_programs", is_flag=True, help="For programs.")


def tell(shape: Any, text: str, *, for_programs: bool) -> None:
    """Prints the shape as JSON for programs (docs/command-line.md), else the text for people."""
    click.echo(json.dumps(shape, indent=2) if for_programs else text)
