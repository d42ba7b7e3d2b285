"""What people are told of usage: of which days, and its sums. Pure."""

import re
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

from dispatcher.usage import UsageRow, Used

GROUPS = ("day", "model", "tenant", "user")
"""What sums may be of."""
MOST_DAYS = 400
"""A report is of this many days at most."""

_DAY, _MONTH = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII), re.compile(r"\d{4}-\d\d", re.ASCII)


class BadPeriod(Exception):
    """No report can be of these days; the message says why."""


def period(first: str, last: str, today: date) -> tuple[date, date]:
    """The days from `first` to `last`, each such as `2026-11-27`.

    No `first`: from the first of the last day's month. No `last`: until today. Raises `BadPeriod`.

    >>> period("", "", date(2026, 11, 27))
    (datetime.date(2026, 11, 1), datetime.date(2026, 11, 27))
    """
    until = _day(last) if last else today
    since = _day(first) if first else until.replace(day=1)
    if since > until:
        raise BadPeriod(f"the first day, {since}, must not be after the last one, {until}")
    if (until - since).days >= MOST_DAYS:
        raise BadPeriod(f"there may be {MOST_DAYS} days at most from the first to the last one")
    return since, until


def month(text: str) -> tuple[date, date]:
    """The first and the last day of a month. Raises `BadPeriod`.

    >>> month("2026-02")
    (datetime.date(2026, 2, 1), datetime.date(2026, 2, 28))
    """
    try:
        first = date.fromisoformat(f"{text}-01") if _MONTH.fullmatch(text) else None
    except ValueError:
        first = None
    if first is None or first.year == date.max.year:
        raise BadPeriod(f"{text[:40]!r} is no month: write it as 2026-11")
    return first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)


def _day(text: str) -> date:
    try:
        if _DAY.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise BadPeriod(f"{text[:40]!r} is no day: write it as 2026-11-27")


def sums(rows: Iterable[UsageRow], by: str) -> list[dict[str, Any]]:
    """Sums for each value of one of `GROUPS`, with its name, in order."""
    return [{by: name, **told(used)} for name, used in sorted(sums_of(rows, by).items())]


def sums_of(rows: Iterable[UsageRow], by: str) -> dict[str, Used]:
    """The same by name."""
    found: dict[str, Used] = {}
    for row in rows:
        name = str(getattr(row, by))
        found[name] = found.get(name, Used()) + row.used
    return found


def total(rows: Iterable[UsageRow]) -> Used:
    """All of it."""
    return sum([row.used for row in rows], Used())


def told(used: Used) -> dict[str, Any]:
    """In the words of the API."""
    return {
        "requests": used.requests,
        "prompt_tokens": used.prompt,
        "cached_tokens": used.cached,
        "completion_tokens": used.completion,
        "slot_seconds": round(used.slot_ms / 1000, 3),
    }
