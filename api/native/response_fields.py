"""Which fields of an answer its client wants: `response_fields`, as llama-server reads it. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

Json = dict[str, Any]


def chosen_fields(answer: Json, paths: Sequence[str]) -> Json:
    """The fields at these paths, each under its whole path; all of them where there is no path.

    >>> chosen_fields({"a": {"b": 1}, "c": 2}, ["a/b", "c", "d"])
    {'a/b': 1, 'c': 2}
    """
    if not paths:
        return answer
    found = {path: _at(answer, path.split("/")) for path in paths}
    return {path: value for path, (value, is_there) in found.items() if is_there}


def _at(value: Any, keys: Sequence[str]) -> tuple[Any, bool]:
    for key in keys:
        if not isinstance(value, Mapping) or key not in value:
            return None, False
        value = value[key]
    return value, True
