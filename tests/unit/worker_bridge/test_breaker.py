"""The breaker as a pure state machine."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_bridge.breaker import Breaker, Mode, Outcome

GOOD, BAD, CRASHED, DOUBTFUL, NOTHING = Outcome


def play(breaker: Breaker, *outcomes: Outcome, now: float = 0) -> None:
    """Attempts one after the other, each begun after the one before has ended."""
    for outcome in outcomes:
        breaker.ended(breaker.begin(), outcome, now)


def ask(breaker: Breaker, now: float, *, answered: bool) -> None:
    """The bridge's own request."""
    breaker.probed(breaker.round, now, answered=answered)


def opened(now: float = 0) -> Breaker:
    breaker = Breaker()
    play(breaker, BAD, BAD, BAD, now=now)
    assert breaker.mode is Mode.OPEN
    return breaker


def half_open() -> Breaker:
    breaker = opened()
    ask(breaker, 1, answered=True)
    return breaker


@pytest.mark.parametrize("kind", [BAD, CRASHED])
def test_three_failures_in_a_row_open_it(kind: Outcome) -> None:
    breaker = Breaker()
    play(breaker, kind, kind)
    assert (breaker.mode, breaker.room(4)) == (Mode.CLOSED, 4)
    play(breaker, kind)
    assert (breaker.mode, breaker.room(4)) == (Mode.OPEN, 0)


def test_a_good_result_ends_the_row_and_one_that_tells_nothing_does_not() -> None:
    breaker = Breaker()
    play(breaker, BAD, BAD, GOOD, BAD, BAD)
    assert breaker.mode is Mode.CLOSED
    play(breaker, NOTHING, BAD)
    assert breaker.mode is Mode.OPEN


def test_half_of_the_last_results_failed() -> None:
    breaker = Breaker()
    play(breaker, *[GOOD, BAD] * 4, GOOD)
    assert breaker.mode is Mode.CLOSED
    play(breaker, BAD)
    assert breaker.mode is Mode.OPEN


def test_old_results_are_forgotten() -> None:
    breaker = Breaker()
    play(breaker, *[GOOD, BAD] * 4, *[GOOD] * 18, *[BAD, GOOD] * 9)
    assert breaker.mode is Mode.CLOSED


def test_good_result_never_opens_it() -> None:
    breaker = Breaker()
    play(breaker, BAD, BAD, GOOD, BAD, BAD, GOOD, BAD, GOOD, GOOD, GOOD)
    assert breaker.mode is Mode.CLOSED


def test_a_crash_counts_once_for_all_that_the_server_held() -> None:
    breaker = Breaker()
    held = [breaker.begin() for _ in range(8)]
    for round_ in held:
        breaker.ended(round_, CRASHED, 0)
    assert breaker.mode is Mode.CLOSED
    play(breaker, CRASHED)
    assert breaker.mode is Mode.CLOSED
    play(breaker, CRASHED)
    assert breaker.mode is Mode.OPEN


def test_pause_grows_up_to_a_minute() -> None:
    breaker = opened(now=100)
    pauses, now = [], 100.0
    for _ in range(9):
        asked = now
        while not breaker.probe_is_due(now):
            now += 0.5
        pauses.append(now - asked)
        ask(breaker, now, answered=False)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_after_the_bridges_own_request_one_job_may_try() -> None:
    breaker = half_open()
    assert (breaker.mode, breaker.room(4), breaker.room(0)) == (Mode.HALF_OPEN, 1, 0)
    round_ = breaker.begin()
    assert breaker.room(4) == 0
    breaker.ended(round_, GOOD, 2)
    assert (breaker.mode, breaker.room(4)) == (Mode.CLOSED, 4)


@pytest.mark.parametrize("kind", [NOTHING, DOUBTFUL])
def test_trial_that_tells_nothing_is_followed_by_another(kind: Outcome) -> None:
    """Else one client with bad requests could keep a server out."""
    breaker = half_open()
    play(breaker, kind, kind, kind, kind)
    assert (breaker.mode, breaker.room(4)) == (Mode.HALF_OPEN, 1)


@pytest.mark.parametrize("kind", [BAD, CRASHED])
def test_trial_that_fails_opens_it_for_longer(kind: Outcome) -> None:
    breaker = half_open()
    play(breaker, kind, now=10)
    assert breaker.mode is Mode.OPEN
    assert not breaker.probe_is_due(11.9)
    assert breaker.probe_is_due(12)


def test_first_pause_is_short_again_after_an_answered_job() -> None:
    breaker = half_open()
    play(breaker, GOOD, BAD, BAD, BAD, now=10)
    assert breaker.probe_is_due(11)


@pytest.mark.parametrize("late", list(Outcome))
def test_late_results_of_older_attempts_are_not_listened_to(late: Outcome) -> None:
    breaker = Breaker()
    older = [breaker.begin() for _ in range(4)]
    play(breaker, BAD, BAD, BAD)
    breaker.ended(older[0], late, 0.5)
    assert breaker.mode is Mode.OPEN
    assert breaker.probe_is_due(1)
    ask(breaker, 1, answered=True)
    breaker.ended(older[1], late, 1.5)
    assert (breaker.mode, breaker.room(4)) == (Mode.HALF_OPEN, 1)
    trial = breaker.begin()
    breaker.ended(older[2], late, 1.6)
    assert (breaker.mode, breaker.room(4)) == (Mode.HALF_OPEN, 0)
    breaker.ended(trial, GOOD, 2)
    breaker.ended(older[3], late, 3)
    assert breaker.mode is Mode.CLOSED


def test_job_that_was_on_its_way_when_it_opened_decides_nothing() -> None:
    breaker = opened()
    late = breaker.begin()
    ask(breaker, 1, answered=True)
    breaker.ended(late, BAD, 2)
    assert (breaker.mode, breaker.room(4)) == (Mode.HALF_OPEN, 1)


def test_own_request_that_is_answered_late_changes_nothing() -> None:
    breaker = opened()
    late = breaker.round
    ask(breaker, 1, answered=True)
    breaker.probed(late, 2, answered=False)
    assert breaker.mode is Mode.HALF_OPEN


def test_doubtful_results_count_for_nothing_while_the_server_answers_its_bridge() -> None:
    """Else one client with bad requests could take out every server of its model."""
    breaker, now = Breaker(), 0.0
    for _ in range(20):
        play(breaker, DOUBTFUL, DOUBTFUL, BAD, GOOD, GOOD, DOUBTFUL, now=now)
        now += 2
        assert breaker.probe_is_due(now)
        ask(breaker, now, answered=True)
        assert not breaker.probe_is_due(now + 1.9)
    assert (breaker.mode, breaker.room(4)) == (Mode.CLOSED, 4)


def test_server_in_doubt_that_fails_its_bridge_too_is_taken_out_at_once() -> None:
    breaker = Breaker()
    assert not breaker.probe_is_due(9)
    play(breaker, DOUBTFUL, now=9)
    assert breaker.probe_is_due(9)
    ask(breaker, 9, answered=False)
    assert breaker.mode is Mode.OPEN
    assert not breaker.probe_is_due(9.9)
    assert breaker.probe_is_due(10)


def test_answered_job_ends_a_doubt() -> None:
    breaker = Breaker()
    play(breaker, DOUBTFUL, GOOD)
    assert not breaker.probe_is_due(9)


def test_second_answer_to_the_bridge_closes_it_where_no_job_comes() -> None:
    breaker = half_open()
    assert not breaker.probe_is_due(1.9)
    assert breaker.probe_is_due(2)
    trial = breaker.begin()
    assert not breaker.probe_is_due(2)
    breaker.ended(trial, DOUBTFUL, 2)
    assert breaker.probe_is_due(2)
    ask(breaker, 2, answered=True)
    assert (breaker.mode, breaker.room(4)) == (Mode.CLOSED, 4)


def test_server_that_only_its_bridge_has_trusted_is_out_for_longer_after_one_failure() -> None:
    breaker, now, pauses = opened(), 0.0, []
    for _ in range(4):
        opened_at = now
        for mode in (Mode.HALF_OPEN, Mode.CLOSED):
            while not breaker.probe_is_due(now):
                now += 0.5
            ask(breaker, now, answered=True)
            assert breaker.mode is mode
        pauses.append(now - opened_at)
        play(breaker, BAD, now=now)
        assert breaker.mode is Mode.OPEN
    assert pauses == [2, 4, 8, 16]


def test_server_that_only_its_bridge_has_trusted_is_a_good_one_after_an_answered_job() -> None:
    breaker = half_open()
    ask(breaker, 2, answered=True)
    play(breaker, GOOD, BAD, BAD, now=3)
    assert breaker.mode is Mode.CLOSED
    play(breaker, BAD, now=3)
    assert breaker.probe_is_due(4)


def test_half_open_server_that_fails_its_bridge_is_out_again() -> None:
    breaker = half_open()
    ask(breaker, 2, answered=False)
    assert (breaker.mode, breaker.probe_is_due(3.9), breaker.probe_is_due(4)) == (
        Mode.OPEN,
        False,
        True,
    )


@given(st.lists(st.tuples(st.sampled_from(["begin", "end", "probe"]), st.integers(0, 9))))
def test_room_is_never_more_than_the_mode_allows(steps: list[tuple[str, int]]) -> None:
    breaker, running, now = Breaker(), [], 0.0
    trials: list[int] = []
    for step, choice in steps:
        now += choice / 4
        before = breaker.mode
        if step == "begin" and breaker.room(3) > 0 and len(running) < 3:
            running.append(breaker.begin())
            trials += running[-1:] if before is Mode.HALF_OPEN else []
        elif step == "end" and running:
            round_ = running.pop(choice % len(running))
            trials = [trial for trial in trials if trial != round_]
            breaker.ended(round_, list(Outcome)[choice % 5], now)
        elif step == "probe" and breaker.probe_is_due(now):
            ask(breaker, now, answered=choice > 4)
        allowed = {Mode.CLOSED: 3, Mode.HALF_OPEN: 1, Mode.OPEN: 0}
        assert 0 <= breaker.room(3) <= allowed[breaker.mode]
        assert len(trials) <= 1 or breaker.mode is not Mode.HALF_OPEN
