"""The line: its turns, its length, and who is refused. The clock is the test's."""

import asyncio
from collections.abc import Iterator

import pytest

from api.admission import LONG_WAIT_S, SHORT_WAIT_S
from api.errors import ApiError
from api.line import Line

PER_TICK = 8
UNDER_WAY = 512


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

    async def pass_turns(self, turns: int, each_s: float = 0.01) -> None:
        until = len(self.served) + turns
        while len(self.served) < until:
            before = len(self.served)
            await self.pass_ticks(1, each_s=PER_TICK * each_s)
            for _ in range(len(self.served) - before):
                self.line.done()

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
    crowd.come("many", 1500)
    await crowd.pass_turns(500)
    assert crowd.line.expected_wait_s > LONG_WAIT_S
    crowd.come("many")  # it may be a burst, which passes
    await crowd.pass_turns(250)
    wait_s = crowd.line.expected_wait_s
    assert wait_s == pytest.approx(7, rel=0.1)
    waits = set()
    for _ in range(100):
        with pytest.raises(ApiError) as refused:
            crowd.line.enter("many")
        waits.add(int(refused.value.headers["Retry-After"]))
    assert refused.value.status == 503
    assert wait_s / 2 - 1 < min(waits) < wait_s < max(waits) < 1.5 * wait_s + 1
    await crowd.pass_turns(450)
    assert LONG_WAIT_S < crowd.line.expected_wait_s < 2 * LONG_WAIT_S
    crowd.come("few")
    with pytest.raises(ApiError):
        crowd.line.enter("many")
    await crowd.pass_turns(150)
    crowd.come("many")


async def test_line_that_stood_is_held_at_its_bound_until_it_is_short(crowd: Crowd) -> None:
    """Else it would grow to twice the bound again and again while the load lasts."""
    crowd.come("many", 1300)
    await crowd.pass_turns(900)
    crowd.come("many")
    await crowd.pass_turns(250)
    assert SHORT_WAIT_S < crowd.line.expected_wait_s < LONG_WAIT_S
    crowd.come("many", 100)
    await crowd.pass_turns(1)
    assert crowd.line.expected_wait_s > LONG_WAIT_S
    assert crowd.line.is_closed_to("many")
    await crowd.pass_turns(160)
    assert crowd.line.expected_wait_s < SHORT_WAIT_S
    crowd.come("many", 500)
    await crowd.pass_turns(1)
    assert crowd.line.expected_wait_s > LONG_WAIT_S
    crowd.come("many")
