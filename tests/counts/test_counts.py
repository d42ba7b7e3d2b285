"""What a request and a token take does not grow: numbers that a noisy machine can't move.

`scripts/bench counts --write` renews them.
"""

import pytest

from bench.counts.measure import measure
from bench.counts.table import RENEW, held, moved, python_version


@pytest.mark.real
def test_counts_are_those_that_are_held():
    python, before = held()
    found = list(moved(before, measure(), python))
    advice = f"Make it cheaper again, or hold what it is now: {RENEW}"
    assert not found, "\n".join([*found, advice])


HELD = {"a token": {"XADD": 1.0, "redis.call": 100.0, "Python calls of the api": 200.0}}


@pytest.mark.parametrize(
    ("name", "now", "sentence"),
    [
        ("redis.call", 103.0, None),
        ("redis.call", 104.0, "redis.call, a token: grew from 100 to 104"),
        ("redis.call", 96.0, "redis.call, a token: shrank from 100 to 96"),
        (
            "Python calls of the api",
            207.0,
            "Python calls of the api, a token: grew from 200 to 207",
        ),
        ("XADD", 1.08, None),
        ("XADD", 1.2, "XADD, a token: grew from 1 to 1.2"),
        ("XREAD", 1.0, "XREAD, a token: grew from 0 to 1"),
    ],
)
def test_count_has_moved_by_more_than_3_percent(name: str, now: float, sentence: str | None):
    counted = {"a token": {**HELD["a token"], name: now}}
    expected = [] if sentence is None else [sentence]
    assert list(moved(HELD, counted, python_version())) == expected


def test_python_calls_are_not_compared_across_versions_of_python():
    counted = {"a token": {**HELD["a token"], "Python calls of the api": 400.0}}
    assert list(moved(HELD, counted, "2.7")) == []
