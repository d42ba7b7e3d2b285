"""What a worker counts of its own work."""

from collections import deque

from dispatcher.cost import Usage
from dispatcher.figures import Done
from worker_bridge.worker_history import WorkerHistory


def test_tokens_of_a_long_answer_count_while_they_come() -> None:
    used: deque[Usage] = deque()
    history = WorkerHistory(used)
    history.look([Usage(10, 0)], 0)
    history.look([Usage(10, 40)], 1)
    history.look([Usage(10, 80)], 2)
    assert (history.tokens_per_s, history.take()) == (40, Done(completion=80, busy_ms=2000))
    used.append(Usage(prompt=10, completion=100, cached=4))
    history.look([], 3)
    assert history.take() == Done(1, 0, prompt=10, cached=4, completion=20, busy_ms=1000)
    assert history.take() == Done()


def test_answer_that_ends_counts_once_whatever_is_told_first() -> None:
    used: deque[Usage] = deque()
    history = WorkerHistory(used)
    history.look([Usage(10, 50)], 0)
    history.look([], 1)  # it has ended, and its usage is on its way
    used.append(Usage(10, 50))
    history.look([Usage(10, 50)], 2)  # it is still held
    history.look([Usage(9, 7)], 3)
    history.look([Usage(9, 70)], 4)
    assert history.take().completion == 120


def test_worker_that_does_nothing_any_more_makes_no_tokens() -> None:
    history = WorkerHistory(deque())
    history.look([], 0)
    history.look([Usage(10, 50)], 1)
    for second in range(2, 8):
        history.look([], second)
    assert history.tokens_per_s == 0
