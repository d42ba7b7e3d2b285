"""What a worker counts of its own work."""

from collections import deque

from dispatcher.cost import Usage
from dispatcher.figures import Done
from worker_bridge.tally import Tally


def test_tokens_of_a_long_answer_count_while_they_come() -> None:
    used: deque[Usage] = deque()
    tally = Tally(used)
    tally.look([Usage(10, 0)], 0)
    tally.look([Usage(10, 40)], 1)
    tally.look([Usage(10, 80)], 2)
    assert (tally.tokens_per_s, tally.take()) == (40, Done(completion=80, busy_ms=2000))
    used.append(Usage(prompt=10, completion=100, cached=4))
    tally.look([], 3)
    assert tally.take() == Done(1, 0, prompt=10, cached=4, completion=20, busy_ms=1000)
    assert tally.take() == Done()


def test_answer_that_ends_counts_once_whatever_is_told_first() -> None:
    used: deque[Usage] = deque()
    tally = Tally(used)
    tally.look([Usage(10, 50)], 0)
    tally.look([], 1)  # it has ended, and its usage is on its way
    used.append(Usage(10, 50))
    tally.look([Usage(10, 50)], 2)  # it is still held
    tally.look([Usage(9, 7)], 3)
    tally.look([Usage(9, 70)], 4)
    assert tally.take().completion == 120


def test_worker_that_does_nothing_any_more_makes_no_tokens() -> None:
    tally = Tally(deque())
    tally.look([], 0)
    tally.look([Usage(10, 50)], 1)
    for second in range(2, 8):
        tally.look([], second)
    assert tally.tokens_per_s == 0
