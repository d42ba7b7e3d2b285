"""What a request for embeddings may ask about: texts and tokens. Pure."""

from typing import Any

from api.errors import ApiError, bad_request
from api.estimate import bytes_of

MAX_INPUTS = 2048  # as OpenAI
_LARGEST_TOKEN = 2**31 - 1
_BYTES_PER_TOKEN = 4

Input = str | list[int | str]
"""A text, or its tokens, among which may be texts too."""


def checked_inputs(value: Any, name: str) -> list[Input]:
    """The inputs that a field holds, or an `ApiError` 400 that says what it must hold."""
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        raise _strange(name)
    if not value:
        raise bad_request(f"`{name}` must not be empty.", param=name)
    if any(map(_is_token, value)):  # one prompt of tokens, or of tokens and texts
        return [_checked(value, name)]
    if len(value) > MAX_INPUTS:
        raise bad_request(f"`{name}` must have {MAX_INPUTS} inputs at most.", param=name)
    return [each if isinstance(each, str) else _checked(each, name) for each in value]


def size_of(one: Input) -> int:
    """About how many bytes of text it stands for."""
    if isinstance(one, str):
        return bytes_of(one)
    return sum(bytes_of(part) if isinstance(part, str) else _BYTES_PER_TOKEN for part in one)


def _checked(one: Any, name: str) -> list[int | str]:
    if not isinstance(one, list) or not all(
        isinstance(each, str) or _is_token(each) for each in one
    ):
        raise _strange(name)
    if not one:
        raise bad_request(
            f"An input of `{name}` has no tokens: give it one, or leave it out.", param=name
        )
    return one


def _is_token(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _LARGEST_TOKEN


def _strange(name: str) -> ApiError:
    return bad_request(
        f"`{name}` must be a string, a list of strings, a list of token numbers, or a list of such "
        "lists.",
        param=name,
    )
