"""A slow worker leaves what faster ones would finish sooner, and only that, and not for ever."""

from dataclasses import replace

import pytest

from dispatcher.patience import EAGER, Load, Speed, patience

LOAD = Load(prompt_tokens=100, completion_tokens=100)
FAST = Speed(slots=4, prompt_tps=1000, decode_tps=100)  # 1.1 s for an average job
SLOW = Speed(slots=4, prompt_tps=250, decode_tps=25)  # 4.4 s
FLEET = {"a": FAST, "b": FAST, "slow": SLOW}
SLOWEST = patience("slow", FLEET, LOAD)
LOSS_MS = SLOWEST.loss_ms(100, 100)


def takes(waiting: int, waited_ms: float = 0, left_ms: float = 0) -> bool:
    return not SLOWEST.leaves(LOSS_MS, waiting, waited_ms, left_ms)


def test_a_loss_is_the_difference_to_the_faster_ones() -> None:
    assert pytest.approx(3300) == LOSS_MS
    assert SLOWEST.turn_ms == pytest.approx(1100 / 8)


def test_the_fast_take_everything() -> None:
    assert patience("a", FLEET, LOAD) == EAGER
    assert not EAGER.leaves(EAGER.loss_ms(10_000, 10_000), 1, 0, 0)


def test_the_fastest_are_asked_first() -> None:
    faster = {"mid": Speed(1, 500, 50), **FLEET}
    assert patience("slow", faster, LOAD).faster == ("a", "b", "mid")


@pytest.mark.parametrize("speed", [Speed(4, 0, 0), Speed(4, 250, 0), Speed(4, 0, 25)])
def test_a_worker_without_figures_is_tried_at_once(speed: Speed) -> None:
    assert patience("slow", {**FLEET, "slow": speed}, LOAD) == EAGER


def test_nothing_is_left_to_workers_without_figures() -> None:
    assert patience("slow", {"new": Speed(4, 0, 0), "slow": SLOW}, LOAD) == EAGER


def test_nothing_is_left_to_workers_without_slots() -> None:
    assert patience("slow", {"a": replace(FAST, slots=0), "slow": SLOW}, LOAD) == EAGER


def test_nothing_is_left_before_any_job_has_ended() -> None:
    assert patience("slow", FLEET, Load(0, 0)) == EAGER


def test_who_is_not_in_the_fleet_takes_everything() -> None:
    assert patience("gone", FLEET, LOAD) == EAGER


def test_workers_that_are_nearly_equal_never_leave_jobs() -> None:
    fleet = {f"w{n}": Speed(4, 1000 + 40 * n, 100 + 4 * n) for n in range(6)}
    assert {patience(name, fleet, LOAD) for name in fleet} == {EAGER}


def test_with_capacity_to_spare_a_job_is_left() -> None:
    assert not takes(waiting=1)


def test_a_backlog_is_worked_off_by_all() -> None:
    # 3.3 s are lost, 137.5 ms is a turn, and the queue counts 1.5 * sqrt(8) times.
    assert not takes(waiting=5)
    assert takes(waiting=6)


def test_a_smaller_job_is_taken_where_a_larger_one_is_left() -> None:
    small = SLOWEST.loss_ms(10, 10)
    assert not SLOWEST.leaves(small, 1, 0, 0)
    assert not takes(waiting=1)


def test_a_queue_that_gets_shorter_counts_for_what_it_is() -> None:
    # 10 jobs are taken in 1.4 s; that they all came within 14 s means that few come now.
    assert takes(waiting=10, waited_ms=1000)
    assert not takes(waiting=10, waited_ms=14_000)


def test_a_queue_that_does_not_get_shorter_is_a_lasting_one() -> None:
    assert takes(waiting=100, waited_ms=14_000)


def test_a_job_is_left_no_longer_than_that_would_gain() -> None:
    assert not takes(waiting=1, waited_ms=60_000, left_ms=LOSS_MS - 1)
    assert takes(waiting=1, waited_ms=60_000, left_ms=LOSS_MS)


def test_large_fleets_leave_jobs_in_shorter_queues_alone() -> None:
    fleet = {f"fast{n}": FAST for n in range(100)} | {"slow": SLOW}
    large = patience("slow", fleet, LOAD)
    assert large.backlog_factor == pytest.approx(30)
    assert large.leaves(LOSS_MS, 39, 0, 0)  # a tenth of a job for each fast slot
    assert not large.leaves(LOSS_MS, 40, 0, 0)


def test_what_is_faster_here_is_no_loss() -> None:
    reader = Speed(slots=4, prompt_tps=4000, decode_tps=25)
    mine = patience("reader", {"a": FAST, "reader": reader}, LOAD)
    assert mine.loss_ms(10_000, 10) < 0
    assert mine.loss_ms(10, 1000) > 0
