"""JSON as we write it. Pure."""

from json import JSONEncoder
from typing import Any

_compact = JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_canonical = JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode


def compact(value: Any) -> bytes:
    """A value as UTF-8, without blanks.

    >>> compact({"b": "é", "a": [1, 2]}).decode()
    '{"b":"é","a":[1,2]}'
    """
    return _compact(value).encode()


def canonical(value: Any) -> bytes:
    """The same bytes for equal values, whatever the order of their keys.

    >>> canonical({"b": 1, "a": "é"}).decode()
    '{"a":"é","b":1}'
    """
    return _canonical(value).encode()
