"""Hours of each day, by the clock on the wall of this machine. Pure but for its time zone."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

_SPAN = re.compile(r"(\d{1,2})(?::(\d{2}))?-(\d{1,2})(?::(\d{2}))?")


@dataclass(frozen=True, slots=True)
class Span:
    """From one time of day to another one, which may be on the next day."""

    begin: time
    end: time

    def __str__(self) -> str:
        return f"{self.begin:%H:%M}-{self.end:%H:%M}"

    def on(self, day: date) -> tuple[float, float]:
        """When it begins on this day and when it ends then, in Unix s.

        Where the clock is put back, the first of the two times counts.
        """
        last = day + timedelta(days=1) if self.end <= self.begin else day
        begin, end = datetime.combine(day, self.begin), datetime.combine(last, self.end)
        return begin.timestamp(), end.timestamp()


@dataclass(frozen=True, slots=True)
class Hours:
    """Some spans of each day."""

    spans: tuple[Span, ...]

    def __str__(self) -> str:
        return ",".join(map(str, self.spans))

    def end_of(self, now_s: float) -> float | None:
        """When the span ends that this time is in, in Unix s; None where it is in none."""
        ends = [end for begin, end in self._around(now_s) if begin <= now_s < end]
        return max(ends, default=None)

    def next_begin(self, now_s: float) -> float:
        """When the next span begins, in Unix s."""
        return min(begin for begin, _ in self._around(now_s) if begin > now_s)

    def _around(self, now_s: float) -> Iterator[tuple[float, float]]:
        today = datetime.fromtimestamp(now_s).date()
        for days in (-1, 0, 1, 2):
            for span in self.spans:
                yield span.on(today + timedelta(days=days))


def parse_hours(text: str) -> Hours:
    """Raises `ValueError`.

    >>> str(parse_hours("22-07, 12:30-13"))
    '22:00-07:00,12:30-13:00'
    """
    return Hours(tuple(map(_span, text.split(","))))


def _span(text: str) -> Span:
    found = _SPAN.fullmatch(text.strip())
    try:
        if found is None:
            raise ValueError
        begin, end = _time(found[1], found[2]), _time(found[3], found[4])
    except ValueError:
        raise ValueError(f"{text[:40]!r} are no hours: write 22-07 or 9:30-17:00") from None
    if begin == end:
        raise ValueError(f"{text[:40]!r} begins when it ends: name two different times")
    return Span(begin, end)


def _time(hour: str, minute: str | None) -> time:
    return time(int(hour) % 24 if int(hour) <= 24 else 99, int(minute or 0))
