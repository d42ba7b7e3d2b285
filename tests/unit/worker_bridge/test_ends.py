"""What follows from how an attempt ended."""

import pytest

from dispatcher.frames import Kind
from dispatcher.job import Toll
from dispatcher.reply import ENDS
from worker_bridge.breaker import Outcome
from worker_bridge.ends import CONSEQUENCES, End
from worker_bridge.stop import Phase, Stop, stopped


def test_each_end_has_one_row() -> None:
    assert set(CONSEQUENCES) == set(End)


@pytest.mark.parametrize("end", list(End))
def test_job_is_ended_or_returned_or_somebody_elses(end: End) -> None:
    follows = CONSEQUENCES[end]
    assert follows.answer is None or (follows.answer in ENDS and not follows.returned)
    assert follows.answer or follows.returned or end is End.FOREIGN
    assert follows.returned or follows.toll is Toll.NOTHING


def test_what_a_server_does_costs_it_more_than_what_a_client_asks() -> None:
    bad = {end for end in End if CONSEQUENCES[end].outcome in (Outcome.BAD, Outcome.CRASHED)}
    assert bad == {End.WORKER, End.OVERLOADED, End.STALLED, End.CRASHED}
    assert all(CONSEQUENCES[end].returned for end in bad)


@pytest.mark.parametrize("why", list(Stop))
def test_stopped_attempt_has_an_end_and_words_where_another_may_try(why: Stop) -> None:
    result = stopped(why, Phase.NEXT_TOKEN, 7)
    follows = CONSEQUENCES[result.end]
    assert follows.returned == (b"message" in result.payload)
    assert (follows.answer is Kind.CANCELLED) == (why in (Stop.CANCELLED, Stop.DEADLINE))


def test_stall_says_what_did_not_come_and_for_how_long() -> None:
    assert b"it gave no next token for 7 s" in stopped(Stop.STALLED, Phase.NEXT_TOKEN, 7).payload
