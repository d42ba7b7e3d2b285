"""Values in the fields of a row, as Redis has them."""

import logging
from math import isfinite

_LARGEST = 1e15

log = logging.getLogger("llamaq.registry")


def words(text: str) -> frozenset[str]:
    """Those with commas between."""
    return frozenset(filter(None, text.split(",")))


def printable(text: str) -> str:
    """A text that changes no terminal, and begins no line of a log.

    >>> printable("a\\x1b[2J\\n")
    'a_[2J_'
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else "_" for c in text)


def whole(text: dict[str, str], name: str) -> int:
    """The whole number in this field, 0 where there is no such field. Raises `ValueError`."""
    value = number(text.get(name, "0"))
    if value != int(value):
        raise ValueError(f"{name} is no whole number: {value}")
    return int(value)


def number(text: str) -> float:
    """A number that is not negative. Raises `ValueError`."""
    value = float(text)
    if not 0 <= value <= _LARGEST:  # nan is neither
        raise ValueError(f"no number that it can be: {text!r}")
    return value


def mean(value: bytes | None) -> float:
    """A mean among the counters, 0 where there is none. One that can't be read is 0 and logged."""
    try:
        return max(0.0, float(value or 0)) if isfinite(float(value or 0)) else 0.0
    except ValueError as error:
        log.error("A value among the counters can't be read: %r", error)
        return 0.0
