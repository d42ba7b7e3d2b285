"""Who is refused when more requests come than the API gets through. No clock, no I/O."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.admission import (
    ALWAYS_OPEN,
    LONGEST_WAIT_S,
    STANDING_S,
    Flow,
    Holdings,
    Pace,
    is_too_large,
    is_too_much,
)

LONG_S = 2.1


def holdings(**amounts: int) -> Holdings:
    held = Holdings()
    for tenant, amount in amounts.items():
        held.add(tenant, amount)
    return held


def refused(
    held: Holdings, tenant: str, wait_s: float = LONG_S, standing_s: float = STANDING_S
) -> bool:
    return is_too_much(held, tenant, wait_s, standing_s, ALWAYS_OPEN)


def test_nobody_is_refused_while_the_line_is_short() -> None:
    assert not refused(holdings(a=5000), "a", wait_s=2.0)


def test_nobody_is_refused_while_little_is_open() -> None:
    assert not refused(holdings(a=ALWAYS_OPEN - 1), "a", wait_s=60)
    assert refused(holdings(a=ALWAYS_OPEN), "a", wait_s=60)


def test_tenant_with_its_share_is_refused_first() -> None:
    held = holdings(many=100, few=3)
    assert refused(held, "many")
    assert not refused(held, "few")
    assert not refused(held, "new")


def test_burst_that_passes_is_let_in() -> None:
    held = holdings(many=2000)
    assert not refused(held, "many", wait_s=6, standing_s=STANDING_S - 0.1)
    assert refused(held, "many", wait_s=6)
    assert refused(held, "many", wait_s=LONGEST_WAIT_S + 0.1, standing_s=0)


def test_line_that_is_twice_too_long_refuses_all() -> None:
    assert refused(holdings(many=100, few=3), "new", wait_s=4.1)


@given(st.dictionaries(st.text(max_size=2), st.integers(1, 500), min_size=1, max_size=20))
def test_somebody_is_refused_whoever_has_what(amounts: dict[str, int]) -> None:
    """Else the line would grow without an end while all have less than their share."""
    held = holdings(**amounts, many=ALWAYS_OPEN)
    assert any(refused(held, tenant) for tenant in [*amounts, "many"])


def test_who_left_counts_no_more() -> None:
    held = holdings(a=50, b=50)
    held.remove("b", 50)
    assert held.total == 50
    assert refused(held, "a")


def test_one_late_tick_says_little() -> None:
    pace = Pace()
    for _ in range(100):
        pace.note(16, 0.016)
    pace.note(16, 1.0)
    assert pace.turn_s < 0.005
    assert 200 * pace.turn_s < 2.0


def test_pace_follows_what_lasts() -> None:
    pace = Pace()
    for _ in range(100):
        pace.note(16, 0.16)
    assert pace.turn_s == pytest.approx(0.01, rel=0.05)


def test_half_of_the_room_for_bodies_is_for_whoever_comes() -> None:
    assert not is_too_large(Holdings(), "a", 60, most=100)
    assert not is_too_large(holdings(a=40), "a", 10, most=100)
    assert is_too_large(holdings(a=41), "a", 10, most=100)
    assert not is_too_large(holdings(a=41), "b", 10, most=100)
    assert is_too_large(holdings(a=95), "b", 10, most=100)


def test_time_until_room_is_free_is_that_of_its_pace() -> None:
    flow = Flow(since_s=100.0)
    assert flow.time_s(50, now_s=110.0) > 1  # nothing is known yet
    for second in range(1, 11):
        flow.note(5, now_s=100.0 + second)
    assert flow.time_s(50, now_s=110.0) == pytest.approx(10)
    for second in range(11, 300):
        flow.note(10, now_s=100.0 + second)
    assert flow.time_s(50, now_s=400.0) == pytest.approx(5, rel=0.1)
