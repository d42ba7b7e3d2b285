"""Work that goes on whatever happens, and what is logged of it."""

import asyncio
import logging
import time

import pytest

from dispatcher import tasks
from dispatcher.fault_log import FaultLog
from dispatcher.tasks import cancel, go_on, log_failure


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "_BEGIN_AGAIN_S", 0)
    monkeypatch.setattr(tasks, "faults", FaultLog(tasks.log))


class Work:
    """Fails so many times, and then does its work."""

    def __init__(self, error: Exception, failures: int = 3) -> None:
        self.error, self.failures = error, failures
        self.begun = 0
        self.done = asyncio.Event()

    async def do(self) -> None:
        self.begun += 1
        if self.begun <= self.failures:
            raise self.error
        self.done.set()
        await asyncio.Event().wait()


async def test_work_that_fails_begins_again_and_the_fault_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    work = Work(KeyError("slots"))
    task = asyncio.create_task(go_on("look", work.do))
    await asyncio.wait_for(work.done.wait(), 5)
    await cancel([task])
    assert work.begun == 4
    assert [record.message for record in caplog.records] == [
        "The look failed, and begins again: KeyError: 'slots'"
    ]


async def test_one_kind_of_exception_may_end_it() -> None:
    work = Work(LookupError("taken"))
    with pytest.raises(LookupError):
        await go_on("registration", work.do, ended_by=LookupError)
    assert work.begun == 1


async def test_failure_of_a_single_task_is_seen(caplog: pytest.LogCaptureFixture) -> None:
    task = asyncio.create_task(Work(ValueError("odd")).do())
    task.add_done_callback(log_failure)
    await asyncio.wait([task])
    await asyncio.sleep(0)
    assert "ValueError: odd" in caplog.text


def test_fault_that_lasts_is_told_again_after_growing_pauses(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    faults, told = FaultLog(logging.getLogger("test")), []
    for second in range(10_000):
        now = float(second)
        faults.tell("bad row")
        if caplog.records:
            told.append((second, caplog.records[-1].message))
            caplog.clear()
    assert [at for at, _ in told] == [0, 60, 180, 420, 900, 1860, 3780, 7380]
    assert told[1][1] == "bad row (59 times more since it was last told)"


def test_different_faults_are_told_each_and_few_are_remembered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    faults = FaultLog(logging.getLogger("test"))
    for number in range(1000):
        faults.tell(f"row {number}")
    assert len(caplog.records) == 1000
    assert len(faults._told) <= 257
