"""What a request has used at least and at most, by what its client knows."""

from pathlib import Path

import pytest

from dispatcher.usage import Used
from tests.chaos.clients import Asked, End, Known, Manner
from tests.chaos.faults import FORGETS
from tests.chaos.fleet import Fleet
from tests.chaos.usage import UsageLedger

KNOWN = Known("Story 1", "abcdefghij", 7)
WHOLE = Used(1, 7, 0, 10)


@pytest.fixture
def ledger(tmp_path: Path) -> UsageLedger:
    return UsageLedger(Fleet(tmp_path, tmp_path / "model", workers=1, apis=1))


def wrong(ledger: UsageLedger, used: Used, end: End, shown: int, code: str = "") -> list[str]:
    """What is wrong where so much is told of a request that ended like this."""
    ended = {"began": 100.0, "ended": 101.0, "end": end, "text": KNOWN.text[:shown], "code": code}
    asked = Asked("c1", "c1.1", "api1", KNOWN, 10, Manner.STREAM, **ended)  # type: ignore[arg-type]
    ledger.enter(asked)
    return ledger.wrong_of("c1", {"c1.1": used})


@pytest.mark.parametrize(
    ("used", "fault"),
    [
        (WHOLE, None),
        (Used(), "requests 0 is not in 1 … 1"),
        (Used(2, 14, 0, 20), "requests 2 is not in 1 … 1"),
        (Used(1, 3, 0, 10), "prompt 3 is not in 7 … 7"),
        (Used(1, 7, 0, 14), "completion 14 is not in 10 … 10"),
    ],
)
def test_whole_answer_counts_as_its_client_was_told(
    ledger: UsageLedger, used: Used, fault: str | None
) -> None:
    found = wrong(ledger, used, End.COMPLETE, 10)
    assert [line.rpartition(": ")[2] for line in found[:1]] == ([fault] if fault else [])


def test_what_one_who_left_has_used_is_between_what_was_shown_and_all(ledger: UsageLedger) -> None:
    assert not wrong(ledger, Used(1, 7, 0, 4), End.LEFT, 4)
    assert not wrong(ledger, WHOLE, End.LEFT, 4)
    assert wrong(ledger, Used(1, 7, 0, 3), End.LEFT, 4)
    assert wrong(ledger, Used(1, 7, 0, 11), End.LEFT, 4)
    assert not wrong(ledger, Used(), End.LEFT, 0)


def test_request_that_was_refused_has_used_nothing(ledger: UsageLedger) -> None:
    assert not wrong(ledger, Used(), End.ERROR, 0, "queue_full")
    assert wrong(ledger, WHOLE, End.ERROR, 0, "queue_full")


def test_what_redis_was_made_to_forget_is_added(ledger: UsageLedger) -> None:
    ledger.fleet.forget({"c1|c1.1": WHOLE, "c1|other": WHOLE}, {"c1|other": WHOLE})
    assert not wrong(ledger, Used(), End.COMPLETE, 10)
    assert wrong(ledger, WHOLE, End.COMPLETE, 10)


def test_usage_that_nobody_asked_for_is_told(ledger: UsageLedger) -> None:
    ledger.requests["c1"] = {}
    assert ledger.wrong_of("c1", {"c1.9": WHOLE})


def test_request_that_redis_forgot_may_be_done_again(
    ledger: UsageLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.chaos.fleet.time.monotonic", lambda: 100.0)
    with ledger.fleet.trouble(FORGETS):
        pass
    assert not wrong(ledger, WHOLE + WHOLE, End.COMPLETE, 10)
