"""The option `--json`, and what commands with it print: those that tell something and end."""

import json
from collections.abc import Mapping
from typing import Any

import click

json_option = click.option("--json", "for_programs", is_flag=True, help="For programs.")


def tell(shape: Any, text: str, *, for_programs: bool) -> None:
    """Prints the shape as JSON for programs (docs/command-line.md), else the text for people."""
    click.echo(json.dumps(shape, indent=2) if for_programs else text)


def warn(*texts: str) -> None:
    """Prints warnings for people beside that."""
    for text in texts:
        click.echo(f"Warning: {text}", err=True)


def in_columns(rows: Mapping[str, str]) -> str:
    """A line for each row: its name, and what is beside it.

    >>> print(in_columns({"a": "1", "bc": "2"}))
    a   1
    bc  2
    """
    width = max(map(len, rows), default=0)
    return "\n".join(f"{name:{width}}  {text}" for name, text in rows.items())
