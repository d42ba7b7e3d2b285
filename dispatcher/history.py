"""What was done in the last hour by minutes, and in the last week by hours.

Each process adds its own figures once a minute. It writes the sum of an hour so far, under a name
that no other process has. So a repeated write changes nothing.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import quote, unquote

from redis.exceptions import ResponseError

from dispatcher.connection import LinkedRedis
from dispatcher.errors import RedisUnavailable
from dispatcher.figures import Figures, read_figures
from dispatcher.keys import Keys
from dispatcher.link import Link
from dispatcher.redis_clock import redis_now_ms
from dispatcher.scripts import Scripts

EVERY_S = 60.0
"""How often each process writes."""
_MINUTE_MS, _HOUR_MS = 60_000, 3_600_000
_MOST_ROWS = 20_000  # of one key
_ROWS_AT_ONCE = 1000


class Span(NamedTuple):
    """Steps of time. Their keys are called `name`, and each holds `per_key` steps."""

    name: str
    step_ms: int
    steps: int
    per_key: int


HOUR = Span("minutes", _MINUTE_MS, 60, 60)
"""The last hour, by minutes."""
WEEK = Span("hours", _HOUR_MS, 7 * 24, 24)
"""The last week, by hours."""


@dataclass(slots=True)
class _Sum:
    """What was done in the latest step so far."""

    span: Span
    step: int = -1
    figures: Figures = field(default_factory=Figures)

    def with_more(self, now_ms: int, more: Figures) -> "_Sum":
        step = now_ms // self.span.step_ms
        return _Sum(self.span, step, self.figures + more if step == self.step else more)


class Recorder:
    """Writes what one process does for a model: its kind is `worker` or `api`."""

    def __init__(self, link: Link, keys: Keys, kind: str, name: str) -> None:
        self._link, self._keys = link, keys
        self._who = f"{kind}|{quote(name, safe='')}"
        self._left = Figures()
        self._sums = [_Sum(HOUR), _Sum(WEEK)]

    async def add(self, figures: Figures) -> None:
        """Adds what was done since the last call, in about `EVERY_S`; nothing costs nothing.

        What can't be written now is added the next time. Raises `RedisUnavailable` and
        `ResponseError`.
        """
        self._left += figures
        if self._left == Figures():
            return
        middle_ms = await redis_now_ms(self._link) - int(EVERY_S * 500)
        sums = [each.with_more(middle_ms, self._left) for each in self._sums]
        writes = [call for each in sums for call in self._writes(each)]
        for answer in await asyncio.gather(*writes, return_exceptions=True):
            if isinstance(answer, BaseException):
                raise answer
        self._sums, self._left = sums, Figures()

    def _writes(self, sum_: _Sum) -> list[asyncio.Future[object]]:
        span, (number, step) = sum_.span, divmod(sum_.step, sum_.span.per_key)
        key, call = self._keys.named(span.name, str(number)), self._link.call
        texts = sum_.figures.texts
        pairs = [item for word in texts for item in (f"{step}|{word}|{self._who}", texts[word])]
        kept_ms = span.step_ms * (span.steps + span.per_key)
        return [call("HSET", key, *pairs), call("PEXPIRE", key, kept_ms)]


class Row(NamedTuple):
    """What one process (`kind` and `name`) did for a model in a step that began at `at_ms`."""

    model: str
    span: Span
    at_ms: int
    kind: str
    name: str
    figures: Figures


async def read_history(
    redis: LinkedRedis, models: Sequence[str], span: Span, now_ms: int
) -> list[Row]:
    """The rows of these models, in no order. Raises `RedisUnavailable`.

    What can't be read is left out.
    """
    last = now_ms // span.step_ms
    first = last - span.steps - 1  # the last ones are not complete yet
    numbers = range(first // span.per_key, last // span.per_key + 1)
    rows: list[Row] = []
    for model in models:
        for number in numbers:
            for name, text in await _texts(redis, model, span, number):
                row = _row(model, span, number, name, text)
                if row is not None and first <= row.at_ms // span.step_ms <= last:
                    rows.append(row)
    return rows


async def _texts(
    redis: LinkedRedis, model: str, span: Span, number: int
) -> list[tuple[bytes, bytes]]:
    """The fields of one key and their texts, none that is too long."""
    keys, cursor = Keys(model), b"0"
    run, key = Scripts(redis, keys).run, keys.named(span.name, str(number))
    found: list[tuple[bytes, bytes]] = []
    while len(found) < _MOST_ROWS:
        cursor, rows = await run("used_by_each", key, cursor, "*", _ROWS_AT_ONCE)
        found += zip(rows[::2], rows[1::2], strict=True)
        if cursor == b"0":
            break
    return found


def _row(model: str, span: Span, number: int, name: bytes, text: bytes) -> Row | None:
    parts = name.decode(errors="replace").split("|")
    if len(parts) != 4 or not parts[0].isdecimal() or int(parts[0]) >= span.per_key:
        return None
    step, word, kind, who = parts
    at_ms = (number * span.per_key + int(step)) * span.step_ms
    figures = read_figures(word, text.decode(errors="replace"))
    return Row(model, span, at_ms, kind, unquote(who), figures)


FAULTS = RedisUnavailable, ResponseError
"""What may keep a figure from being written: it is written later."""
