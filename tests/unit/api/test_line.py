"""The line: its turns, its length, and who is refused. The clock is the test's."""

import asyncio
from collections.abc import Iterator

import pytest

from api.errors import ApiError
from api.line import Line

PER_TICK = 16
UNDER_WAY = 512


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Crowd:
    """Requests of tenants that stand in one line, and who had a turn in which order."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.line = Line(clock=lambda: self.now_s)
        self.served: list[str] = []
        self._tasks: list[asyncio.Task[None]] = []

    def come(self, tenant: str, requests: int = 1) -> None:
        for _ in range(requests):
            self.line.enter(tenant)
            self._tasks.append(asyncio.create_task(self._stand(tenant)))

    async def _stand(self, tenant: str) -> None:
        await self.line.turn(tenant)
        self.served.append(tenant)

    async def pass_ticks(self, ticks: int = 1, each_s: float = 0.0) -> None:
        for _ in range(ticks):
            self.now_s += each_s
            await asyncio.sleep(0)

    def leave(self) -> None:
        for task in self._tasks:
            task.cancel()


@pytest.fixture
def crowd() -> Iterator[Crowd]:
    crowd = Crowd()
    yield crowd
    crowd.leave()


async def test_who_comes_alone_waits_for_nobody(crowd: Crowd) -> None:
    for number in range(5):
        crowd.come("a")
        await asyncio.sleep(0)
        assert len(crowd.served) == number + 1
        crowd.line.done()


async def test_event_loop_looks_at_all_else_between_a_few_turns(crowd: Crowd) -> None:
    crowd.come("a", 10 * PER_TICK)
    counts = []
    while len(crowd.served) < 10 * PER_TICK:
        before = len(crowd.served)
        await crowd.pass_ticks()
        counts.append(len(crowd.served) - before)
    assert max(counts) <= PER_TICK
    assert len(counts) < 40  # and it hurries


async def test_tenants_take_turns(crowd: Crowd) -> None:
    crowd.come("many", 100)
    await crowd.pass_ticks()
    crowd.come("few", 3)
    while crowd.served.count("few") < 3:
        await crowd.pass_ticks()
    assert len(crowd.served) < 4 * PER_TICK


async def test_what_redis_has_not_taken_yet_is_bounded(crowd: Crowd) -> None:
    crowd.come("a", UNDER_WAY + 100)
    await crowd.pass_ticks(200)
    assert len(crowd.served) == UNDER_WAY
    for _ in range(30):
        crowd.line.done()
    await crowd.pass_ticks(10)
    assert len(crowd.served) == UNDER_WAY + 30


async def test_request_that_is_cancelled_keeps_nobody_from_a_turn(crowd: Crowd) -> None:
    crowd.come("a", UNDER_WAY + 2)
    await crowd.pass_ticks(200)
    crowd._tasks[UNDER_WAY].cancel()
    await crowd.pass_ticks()
    crowd.line.done()
    await crowd.pass_ticks(3)
    assert crowd._tasks[UNDER_WAY + 1].done()


async def test_who_would_wait_for_too_long_is_refused_and_told_when_to_come_again(
    crowd: Crowd,
) -> None:
    """A turn takes 10 ms here: 200 in line are two seconds."""
    crowd.come("many", 1000)
    await crowd.pass_ticks(2, each_s=0.16)
    while len(crowd.served) < 700:
        await crowd.pass_ticks(1, each_s=0.16)
        for _ in range(PER_TICK):
            crowd.line.done()
    assert crowd.line.expected_wait_s == pytest.approx(2.8, abs=0.6)
    crowd.come("few")
    waits = set()
    for _ in range(100):
        with pytest.raises(ApiError) as refused:
            crowd.line.enter("many")
        waits.add(int(refused.value.headers["Retry-After"]))
    assert refused.value.status == 503
    assert refused.value.headers["Connection"] == "close"
    assert min(waits) < 2.8 < max(waits)
    assert max(waits) <= 6
