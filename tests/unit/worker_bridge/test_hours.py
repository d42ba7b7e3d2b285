"""Hours of a day, over midnight and where clocks are put forward and back."""

import time
from collections.abc import Iterator
from datetime import datetime

import pytest

from worker_bridge.hours import parse_hours
from worker_bridge.pause import NO_PAUSE, Pause, paused_until


@pytest.fixture(autouse=True)
def _berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Clocks go forward on 29 March 2026 at 2:00, and back on 25 October at 3:00."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def until(now: str, *, pause: Pause = NO_PAUSE, work: str = "") -> str:
    found = paused_until(pause, parse_hours(work) if work else None, at(now))
    return f"{datetime.fromtimestamp(found):%m-%d %H:%M}" if found else ""


@pytest.mark.parametrize(
    ("now", "end"),
    [
        ("2026-11-27 21:59:59", ""),
        ("2026-11-27 22:00:00", "11-28 07:00"),
        ("2026-11-28 06:59:59", "11-28 07:00"),
        ("2026-11-28 07:00:00", ""),
        ("2026-12-31 23:00:00", "01-01 07:00"),
    ],
)
def test_pause_over_midnight(now: str, end: str) -> None:
    assert until(now, pause=Pause(hours="22-07")) == end


@pytest.mark.parametrize(
    ("now", "begin"),
    [
        ("2026-11-27 21:59:59", "11-27 22:00"),
        ("2026-11-27 22:00:00", ""),
        ("2026-11-28 07:00:00", "11-28 22:00"),
    ],
)
def test_bridge_works_only_within_its_hours(now: str, begin: str) -> None:
    assert until(now, work="22-07") == begin


def test_hours_are_those_of_the_clock_on_the_wall_though_it_is_put_forward_or_back() -> None:
    night = Pause(hours="22-07")
    for evening, morning, hours in (
        ("2026-03-27 22:00", "2026-03-28 07:00", 9),
        ("2026-03-28 22:00", "2026-03-29 07:00", 8),
        ("2026-10-24 22:00", "2026-10-25 07:00", 10),
    ):
        assert paused_until(night, None, at(evening)) == at(morning)
        assert at(morning) - at(evening) == hours * 3600


def test_hour_that_there_is_not_and_hour_that_comes_twice() -> None:
    assert until("2026-03-29 01:59", pause=Pause(hours="01-02:30")) == "03-29 03:30"
    first_half_past_two = at("2026-10-25 02:30")
    pause = Pause(hours="22-02:30")
    assert paused_until(pause, None, first_half_past_two - 1) == first_half_past_two
    assert paused_until(pause, None, first_half_past_two) == 0
    assert paused_until(pause, None, first_half_past_two + 1800) == 0  # 2:00 for the second time


def test_pauses_that_meet_are_one() -> None:
    now = at("2026-11-27 20:00")
    both = Pause(until_s=now + 3 * 3600, hours="22-07")
    assert until("2026-11-27 20:00", pause=both) == "11-28 07:00"
    assert until("2026-11-27 20:00", pause=both, work="09-17") == "11-28 09:00"
    assert until("2026-11-27 20:00", pause=Pause(hours="0-12,12-24")) != ""  # all day


@pytest.mark.parametrize("text", ["", "22", "22-25", "7-7", "22:60-07", "a-b", "22-07;8-9", "-1-7"])
def test_what_are_no_hours(text: str) -> None:
    with pytest.raises(ValueError, match=r"are no hours: write 22-07|begins when it ends"):
        parse_hours(text)
