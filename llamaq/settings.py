"""Reads the settings of all parts at once, and tells people what each of them is."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import AliasChoices, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from llamaq.environment import described, not_valid

_WORDS = {
    "int_parsing": "must be a whole number",
    "float_parsing": "must be a number",
    "bool_parsing": "must be 1 or 0",
}
"""What people are told in place of pydantic's words for these kinds of mistakes."""


def load(given: Mapping[type[BaseSettings], Mapping[str, Any]]) -> dict[type[BaseSettings], Any]:
    """An instance of each class. Values `given` on the command line override the environment.

    One `click.UsageError` tells of every invalid setting.
    """
    loaded: dict[type[BaseSettings], Any] = {}
    problems: list[tuple[str, str]] = []
    for kind, values in given.items():
        try:
            told = {name: value for name, value in values.items() if value is not None}
            loaded[kind] = kind(**told)
        except ValidationError as error:
            problems += _problems(kind, error)
    if problems:
        raise not_valid(problems)
    return loaded


def variables(*kinds: type[BaseSettings]) -> set[str]:
    """The environment variables that these settings are read from."""
    return {variable(*field) for kind in kinds for field in kind.model_fields.items()}


def describe(*kinds: type[BaseSettings]) -> str:
    """What every setting is, for `--help`."""
    return described(
        (variable(name, field), _told(field))
        for kind in kinds
        for name, field in sorted(kind.model_fields.items())
    )


def _told(field: FieldInfo) -> str:
    default = default_of(field)
    return f"{field.description} (default: {default})" if default else field.description or ""


def variable(name: str, field: FieldInfo) -> str:
    """The environment variable that a setting is read from."""
    alias = field.validation_alias
    return str(alias.choices[0]) if isinstance(alias, AliasChoices) else f"LLAMAQ_{name.upper()}"


def default_of(field: FieldInfo) -> str:
    """What people are told of a setting's default; "" where there is none to tell."""
    if field.is_required() or field.default is None or field.validate_default:
        return ""
    return str(field.default)


def _problems(kind: type[BaseSettings], error: ValidationError) -> Iterator[tuple[str, str]]:
    for problem in error.errors():
        name = str(problem["loc"][0])
        field = kind.model_fields.get(name)
        shown = variable(name, field) if field else name
        if problem["type"] == "missing":
            known = next((f for n, f in kind.model_fields.items() if variable(n, f) == shown), None)
            yield shown, f"must be set: {known.description if known else 'no default'}"
        else:
            yield shown, _in_words(problem["type"], problem["msg"])


def _in_words(kind: str, message: str) -> str:
    said = message.removeprefix("Value error, ").replace("Input should be", "must be", 1)
    return _WORDS.get(kind, said)
