"""Which lines of a log are written when a message comes again and again: on a given clock."""

import logging

import pytest

from llamaq.logs import set_up_logs
from llamaq.repeats import RepeatFilter

AWAY = "Redis can't be reached: Connection refused"


class Log:
    """What is written, and when."""

    def __init__(self) -> None:
        self.now = 0.0
        self.lines: list[tuple[float, str]] = []
        self._filter = RepeatFilter(lambda: self.now)

    def say(
        self,
        message: str = AWAY,
        level: int = logging.WARNING,
        name: str = "llamaq.inbox",
        error: BaseException | None = None,
    ) -> None:
        about = (type(error), error, None) if error else None
        record = logging.LogRecord(name, level, "", 0, "%s", (message,), about)
        if self._filter.filter(record):
            self.lines.append((self.now, record.getMessage()))

    def say_every(self, pause_s: float, until_s: float) -> None:
        while self.now < until_s:
            self.say()
            self.now += pause_s


@pytest.fixture
def log() -> Log:
    return Log()


def test_repeated_warning_is_written_at_growing_intervals(log: Log) -> None:
    log.say_every(0.25, 300)
    assert [at for at, _ in log.lines] == [0, 1, 3, 7, 15, 31, 63, 123, 183, 243]


def test_error_is_written_again_at_intervals_up_to_an_hour(log: Log) -> None:
    for second in range(10_000):
        log.now = second
        log.say("bad row", logging.ERROR)
    assert [at for at, _ in log.lines[-3:]] == [2047, 4095, 7695]


def test_line_tells_how_often_it_was_held_back(log: Log) -> None:
    log.say_every(0.25, 4)
    assert [line for _, line in log.lines] == [
        AWAY,
        f"{AWAY} (and 3 times more in the last 1 s)",
        f"{AWAY} (and 7 times more in the last 2 s)",
    ]


def test_line_that_was_held_back_once_says_so(log: Log) -> None:
    log.say_every(0.75, 3)
    assert log.lines[-1][1] == f"{AWAY} (and once more in the last 2 s)"


def test_same_message_of_another_logger_is_a_repetition(log: Log) -> None:
    log.say(name="llamaq.inbox")
    log.say(name="llamaq.directory")
    assert len(log.lines) == 1


def test_lines_of_different_requests_are_all_written(log: Log) -> None:
    for number in range(3000):
        log.say(f"job={number} given back")
    assert len(log.lines) == 3000


def test_news_are_never_held_back(log: Log) -> None:
    for _ in range(5):
        log.say(level=logging.INFO)
    assert len(log.lines) == 5


def test_different_errors_under_one_message_are_all_written(log: Log) -> None:
    for error in (ValueError("a"), ValueError("b"), ValueError("a")):
        log.say("a background task failed", logging.ERROR, error=error)
    assert len(log.lines) == 2


def test_message_that_did_not_come_for_a_minute_is_new(log: Log) -> None:
    log.say_every(0.5, 100)
    log.now += 61
    log.say()
    log.now += 1
    log.say()
    assert [line for _, line in log.lines[-2:]] == [AWAY, AWAY]


def test_logs_of_the_processes_are_filtered(monkeypatch: pytest.MonkeyPatch) -> None:
    handlers: list[logging.Handler] = []
    monkeypatch.setattr(logging, "basicConfig", lambda **given: handlers.extend(given["handlers"]))
    set_up_logs("info")
    assert any(isinstance(each, RepeatFilter) for each in handlers[0].filters)
