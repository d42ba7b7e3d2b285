"""Whatever happens while the end of an attempt is settled, its worker is told."""

import asyncio
from typing import Any
from unittest.mock import Mock

import pytest

from dispatcher.job import Claim
from dispatcher.taken import Taken
from worker_bridge.ends import End, Result
from worker_bridge.settling import Settling

DONE = Result(End.DONE, b"{}")


class Told:
    """Keeps what it is told of an attempt that is settled."""

    def __init__(self) -> None:
        self.claims: list[Claim] = []
        self.fault: BaseException | None = None
        self.once = asyncio.Event()

    def __call__(self, _: Any, claims: list[Claim], fault: BaseException | None) -> None:
        assert not self.once.is_set()
        self.claims, self.fault = claims, fault
        self.once.set()


def settling(finish: Any) -> Settling:
    worker = Mock()
    worker.session.finish = finish
    worker.outbox.close = lambda _, take: take([])
    return Settling(worker, Mock())


@pytest.mark.parametrize("end", [End.DONE, End.REJECTED])
async def test_fault_that_nobody_thought_of_is_told(end: End) -> None:
    told, fault = Told(), RuntimeError("odd")
    settling(Mock(side_effect=fault)).settle(Mock(), Result(end, b"{}"), told)
    await told.once.wait()
    assert (told.claims, told.fault) == ([], fault)


@pytest.mark.parametrize("end", [End.DONE, End.REJECTED])
async def test_jobs_that_were_claimed_instead_are_told(end: End) -> None:
    told, claim = Told(), Claim("j", "j:1", "a", frozenset(), 9, 1)
    finishing: asyncio.Future[Taken] = asyncio.get_running_loop().create_future()
    settling(lambda *_: finishing).settle(Mock(), Result(end, b"{}"), told)
    await asyncio.sleep(0)
    assert not told.once.is_set()
    finishing.set_result(Taken(0, [claim], None))
    await told.once.wait()
    assert (told.claims, told.fault) == ([claim], None)


async def test_nothing_is_settled_any_more_once_it_was_abandoned() -> None:
    told, finish = Told(), Mock()
    ends = settling(finish)
    await ends.abandon()
    ends.settle(Mock(), DONE, told)
    await asyncio.sleep(0)
    assert not finish.called
    assert not told.once.is_set()
