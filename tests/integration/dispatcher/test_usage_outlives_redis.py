"""What becomes of usage where Redis is killed: it keeps its data as `llamaq up` has it do."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dispatcher.arguments import Ended
from dispatcher.commands import Identity, Offer, Wish
from dispatcher.connection import LinkedRedis
from dispatcher.errors import RedisUnavailable
from dispatcher.frames import Frame, Kind, pack
from dispatcher.patience import EAGER
from dispatcher.usage import Used, today, usage_of
from testing.desk import Desk
from testing.killable import Killable
from testing.queued_jobs import queued_job
from testing.waiting import until

pytestmark = pytest.mark.real

JOBS, AT_ONCE, CALLERS = 600, 2, 4
EACH = Used(1, 50, 40, 7)


@pytest.fixture
async def killable(tmp_path: Path) -> AsyncIterator[Killable]:
    server = Killable(tmp_path)
    yield server
    await server.close()


class Work:
    """Bridges that end jobs as fast as they can, and say again what Redis may not have heard."""

    def __init__(self, desk: Desk, attempt_ids: list[str]) -> None:
        self.desk = desk
        self.left = [attempt_ids[i : i + AT_ONCE] for i in range(0, len(attempt_ids), AT_ONCE)]
        self.said = 0  # jobs: Redis has answered
        self.unheard: list[list[str]] = []

    async def run(self) -> None:
        """Until all is said, or Redis is away."""
        await asyncio.gather(*(self._end_jobs() for _ in range(CALLERS)))

    async def _end_jobs(self) -> None:
        while self.left:
            attempt_ids = self.left.pop()
            try:
                await end(self.desk, attempt_ids)
            except RedisUnavailable:
                self.unheard.append(attempt_ids)
                return
            self.said += len(attempt_ids)

    async def until_said(self, jobs: int) -> None:
        """Returns when Redis has heard of so many."""
        await until(lambda: asyncio.sleep(0, self.said >= jobs))


async def end(desk: Desk, attempt_ids: list[str]) -> None:
    counts = EACH.prompt, EACH.completion, EACH.cached, 1
    ended = [
        Ended(attempt_id, "done", pack([Frame(Kind.DONE, 0)]), *counts)
        for attempt_id in attempt_ids
    ]
    await desk.commands.finish(Identity("w", "e"), Wish(Offer(), attempt_ids[0], 0, EAGER), ended)


async def begin(redis: LinkedRedis) -> Work:
    """All jobs run."""
    desk = Desk(redis)
    await desk.heartbeat("a")
    await desk.join(slots=JOBS)
    for start in range(0, JOBS, 50):
        await desk.enqueue_together(*(queued_job(f"j{i}") for i in range(start, start + 50)))
    attempt_ids: list[str] = []
    while len(attempt_ids) < JOBS:
        attempt_ids += (await desk.claim())[1]
    return Work(desk, attempt_ids)


async def used(redis: LinkedRedis) -> Used:
    (row,) = await usage_of(redis, ["tiny"], [await today(redis)], "ann")
    assert (row.used.prompt, row.used.completion) == (50 * row.used.requests, 7 * row.used.requests)
    return row.used


async def until_written(redis: LinkedRedis) -> None:
    """Redis writes later while the disk is busy."""

    async def is_written() -> bool:
        return (await redis.info("persistence"))["aof_buffer_length"] == 0

    await until(is_written)


@pytest.mark.parametrize("loses", ["what it had not written", "what was written last"])
async def test_what_a_killed_redis_has_not_kept_counts_once_when_it_is_done_again(
    killable: Killable, loses: str
) -> None:
    redis = await killable.start()
    work = await begin(redis)
    work.left, later = work.left[: len(work.left) // 3], work.left[len(work.left) // 3 :]
    await work.run()
    await until_written(redis)
    before, written = work.said, killable.written()
    size = written.stat().st_size
    work.left = later
    running = asyncio.create_task(work.run())
    await work.until_said(JOBS // 2)
    killable.kill()
    await running
    most = work.said + sum(map(len, work.unheard))
    if loses == "what was written last":
        with written.open("r+b") as file:
            file.truncate(size + 1234)  # in the middle of a script
        most = work.said - 1
    again = await killable.start()
    desk = Desk(again)
    kept, still = (await used(again)).requests, await desk.running("w")
    assert before <= kept == JOBS - len(still) <= most
    await asyncio.gather(*(end(desk, [attempt_id]) for attempt_id in still))
    assert (await used(again)).requests == JOBS
