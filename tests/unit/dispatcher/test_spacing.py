"""How far apart emits are, and what is counted for it."""

import pytest

from dispatcher.spacing import Rate, spacing_s


@pytest.mark.parametrize(
    ("streams", "tokens_per_s", "spacing_ms"),
    [
        (0, 0, 20),  # nothing is known yet
        (1, 5, 20),  # alone: nobody to wait for
        (5, 50, 40),  # a token each 100 ms
        (5, 25, 50),  # a token each 200 ms
        (45, 450, 40),
        (1000, 2000, 50),
        (16, 800, 20),  # a token each 20 ms
        (40, 2000, 30),
        (100, 5000, 40),
    ],
)
def test_slow_streams_wait_for_each_other_and_at_most_for_a_part_of_their_pace(
    streams: int, tokens_per_s: float, spacing_ms: float
) -> None:
    assert spacing_s(streams, tokens_per_s) * 1000 == pytest.approx(spacing_ms)


def test_rate_follows_what_comes_within_about_a_second() -> None:
    rate = Rate(0.0)
    for tick in range(1, 100):
        rate.count(10)
        rate.settle(tick / 10)
    assert rate.per_s == pytest.approx(100, rel=0.01)
    rate.settle(11.0)
    assert rate.per_s == pytest.approx(0, abs=1)


def test_rate_of_no_time_is_left_as_it_is() -> None:
    rate = Rate(1.0)
    rate.count(5)
    rate.settle(1.0)
    assert rate.per_s == 0
