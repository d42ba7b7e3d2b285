"""The log line of a request, written when it is over: no prompts, no tokens of access."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, fields
from operator import attrgetter

from api.paths import PROBES

log = logging.getLogger("llamaq.access")

_FORGERS = frozenset(' "=')


@dataclass(slots=True)
class Record:
    """What the log tells of a request. Times in milliseconds; None where it never came to it.

    `ignored` is not in the log: the header that tells its client which fields have no effect.
    """

    id: str
    tenant: str | None = None
    tier: str | None = None
    model: str | None = None
    worker: str | None = None
    status: int | None = None
    queue_ms: int | None = None
    ttft_ms: int | None = None
    tokens: int | None = None
    ignored: str = ""


_FIELDS = tuple(field.name for field in fields(Record) if field.name != "ignored")
_values = attrgetter(*_FIELDS)


class _Lines:
    """Where lines go: to `log`, or past its records to what takes them more cheaply."""

    take: Callable[[str], None] = staticmethod(log.info)


def take_lines(take: Callable[[str], None]) -> None:
    """From now on `take` gets the lines that `log` lets through."""
    _Lines.take = staticmethod(take)


def write(record: Record, path: str) -> None:
    """Writes the line of a request to this path, if its path has one."""
    if path not in PROBES and log.isEnabledFor(logging.INFO):
        _Lines.take(_line(record))


def flush() -> None:
    """Has all lines written that wait: nothing else does in a process that a signal ends."""
    for handler in logging.getLogger().handlers:
        handler.flush()


def _line(record: Record) -> str:
    """The fields in their order, without those that are None.

    >>> _line(Record("r1", status=200, queue_ms=0))
    'id=r1 status=200 queue_ms=0'
    """
    values = _values(record)
    texts = "".join([value for value in values if type(value) is str])
    if not texts.isprintable() or not _FORGERS.isdisjoint(texts):
        values = tuple(_plain(value) if type(value) is str else value for value in values)
    pairs = zip(_FIELDS, values, strict=True)
    return " ".join([f"{name}={value}" for name, value in pairs if value is not None])


def _plain(text: str) -> str:
    """One word: what a client chose can't forge a second field or line."""
    return "".join(c if c.isprintable() and c not in _FORGERS else "_" for c in text)
