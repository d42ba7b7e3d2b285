"""Log lines that are made of fields: one for each request, and one for each attempt."""

import json
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Value = str | int | float | None

MOST_CHARS = 256
"""No text in a field is longer."""

_FORGERS = frozenset(' "=\\')
_UNUSUAL = re.compile(r"[^!#-<>-\[\]-~]")  # a forger, or no visible character of ASCII


class Lines:
    """The lines of one kind, such as `request`, written by this `logger`.

    Each has fields of these `names`, in their order, but for those that are None. `take` gets the
    values of each line.
    """

    def __init__(self, kind: str, logger: str, names: Sequence[str]) -> None:
        self.kind = kind
        self.log = logging.getLogger(logger)
        self.names = tuple(names)
        self.take: Callable[[tuple[Value, ...]], None] = self.log_now
        KINDS.append(self)

    def log_now(self, values: tuple[Value, ...]) -> None:
        """Writes a line as logging writes everything else."""
        if self.log.isEnabledFor(logging.INFO):
            self.log.info("%s", as_text(self.names, values))


KINDS: list[Lines] = []
"""All of them."""


def fields_of(names: Sequence[str], values: Sequence[Value]) -> Mapping[str, Any]:
    """Those that have a value, each in its bounds.

    >>> fields_of(("id", "status", "user"), ("r1", 200, None))
    {'id': 'r1', 'status': 200}
    """
    pairs = zip(names, values, strict=True)
    return {
        name: value[:MOST_CHARS] if isinstance(value, str) else value
        for name, value in pairs
        if value is not None
    }


def as_text(names: Sequence[str], values: Sequence[Value]) -> str:
    r"""The fields as words. What a client chose can forge neither a field nor a line.

    >>> as_text(("id", "status", "user"), ("r1", 200, "a b"))
    'id=r1 status=200 user="a b"'
    """
    texts = "".join([value for value in values if isinstance(value, str)])
    if len(texts) > MOST_CHARS or _UNUSUAL.search(texts):
        values = [_word(value) if isinstance(value, str) else value for value in values]
    pairs = zip(names, values, strict=True)
    return " ".join([f"{name}={value}" for name, value in pairs if value is not None])


def harmless(text: str) -> str:
    r"""The text with its control characters escaped, as in Python, but for ends of lines and tabs.

    >>> harmless("red \x1b[31m")
    'red \\x1b[31m'
    """
    if text.isprintable():
        return text
    return "".join([c if c.isprintable() or c in "\n\t" else _escaped(c) for c in text])


def _word(text: str) -> str:
    text = text[:MOST_CHARS]
    if text.isprintable() and _FORGERS.isdisjoint(text):
        return text
    quoted = json.dumps(text, ensure_ascii=False).replace("=", "\\u003d")
    return "".join([c if c.isprintable() else _escaped(c) for c in quoted])


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()
