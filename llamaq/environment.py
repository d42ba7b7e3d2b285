"""The environment variables of a command, and what people are told of them. Loads nothing else."""

import os
import textwrap
from collections.abc import Iterable

import click


def is_set(name: str) -> bool:
    """Whether the environment has a value for this variable."""
    return bool(os.environ.get(name))


def set_default(name: str, value: str) -> None:
    """Sets a variable that the environment leaves out."""
    if not is_set(name):
        os.environ[name] = value


def described(variables: Iterable[tuple[str, str]]) -> str:
    """What these variables are, for `--help`, in paragraphs that click does not fill again."""
    lines = ["\b", "Settings, each an environment variable:"]
    for name, text in variables:
        lines.append(f"  {name}")
        lines += textwrap.wrap(text, 72, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return "\n".join(lines)


def not_valid(problems: Iterable[tuple[str, str]]) -> click.UsageError:
    """The error for these variables, each with what is wrong."""
    rows = "\n".join(f"  {name}: {reason}" for name, reason in problems)
    return click.UsageError(f"these settings are missing or not valid:\n{rows}")
