"""Reads the settings of all parts at once, and tells people what each of them is."""

import os
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import click
from pydantic import AliasChoices, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings


def load(given: Mapping[type[BaseSettings], Mapping[str, Any]]) -> dict[type[BaseSettings], Any]:
    """An instance of each class, with the values `given` on the command line before those of the
    environment. Every invalid setting of all of them is told at once, as a `click.UsageError`.
    """
    loaded: dict[type[BaseSettings], Any] = {}
    problems: list[str] = []
    for kind, values in given.items():
        try:
            told = {name: value for name, value in values.items() if value is not None}
            loaded[kind] = kind(**told)
        except ValidationError as error:
            problems += _problems(kind, error)
    if problems:
        raise click.UsageError("these settings are missing or not valid:\n" + "\n".join(problems))
    return loaded


def is_set(name: str) -> bool:
    """Whether the environment has a value for this variable."""
    return bool(os.environ.get(name))


def set_default(name: str, value: str) -> None:
    """The value of a variable that the environment leaves out."""
    if not is_set(name):
        os.environ[name] = value


def variables(*kinds: type[BaseSettings]) -> set[str]:
    """The environment variables that these settings are read from."""
    return {variable(*field) for kind in kinds for field in kind.model_fields.items()}


def describe(*kinds: type[BaseSettings]) -> str:
    """What every setting is, for `--help`; none of its paragraphs is filled again by click."""
    lines = ["\b", "Settings, each an environment variable:"]
    for kind in kinds:
        for name, field in sorted(kind.model_fields.items()):
            lines.append(f"  {variable(name, field)}")
            default = default_of(field)
            text = f"{field.description} (default: {default})" if default else field.description
            lines += textwrap.wrap(
                text or "", 72, initial_indent=" " * 6, subsequent_indent=" " * 6
            )
    return "\n".join(lines)


def variable(name: str, field: FieldInfo) -> str:
    """The environment variable that a setting is read from."""
    alias = field.validation_alias
    return str(alias.choices[0]) if isinstance(alias, AliasChoices) else f"LLAMAQ_{name.upper()}"


def default_of(field: FieldInfo) -> str:
    """What people are told of a setting's default; "" where there is none to tell."""
    if field.is_required() or field.default is None or field.validate_default:
        return ""
    return str(field.default)


def _problems(kind: type[BaseSettings], error: ValidationError) -> Iterator[str]:
    for problem in error.errors():
        name = str(problem["loc"][0])
        field = kind.model_fields.get(name)
        shown = variable(name, field) if field else name
        if problem["type"] == "missing":
            known = next((f for n, f in kind.model_fields.items() if variable(n, f) == shown), None)
            yield f"  {shown}: must be set: {known.description if known else 'no default'}"
        else:
            yield f"  {shown}: {problem['msg'].removeprefix('Value error, ')}"
