"""Work that goes on whatever happens, and what is logged of it."""

import asyncio
import gc

import pytest

from dispatcher import tasks
from dispatcher.tasks import cancel, first_of, go_on, log_failure


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "_BEGIN_AGAIN_S", 0)


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
    written: pytest.LogCaptureFixture,
) -> None:
    work = Work(KeyError("slots"))
    task = asyncio.create_task(go_on("look", work.do))
    await asyncio.wait_for(work.done.wait(), 30)
    await cancel([task])
    assert work.begun == 4
    assert [record.message for record in written.records] == ["The look failed, and begins again"]
    assert "KeyError: 'slots'" in written.text


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


async def test_error_of_a_work_that_is_cancelled_is_nobodys() -> None:
    """Else the event loop would report it when the task is collected."""
    reported = list[str]()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: reported.append(context["message"]))

    async def fail_when_cancelled() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            raise OSError("broken")

    await first_of(asyncio.sleep(0), fail_when_cancelled())
    both = asyncio.create_task(first_of(asyncio.sleep(60), fail_when_cancelled()))
    for _ in range(5):  # also while it cancels them
        await asyncio.sleep(0)
        both.cancel()
    await asyncio.wait({both})
    del both
    gc.collect()
    assert reported == []
