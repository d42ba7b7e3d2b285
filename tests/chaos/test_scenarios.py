"""Single faults at the worst moment, on a small fleet, with clients that compare every byte."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from dispatcher.keys import Keys
from llamaq.demo_model import write_demo_model
from tests.chaos.clients import LONGEST, Asked, Client, End, Manner, learn
from tests.chaos.faults import KINDS
from tests.chaos.fleet import MODEL, Fleet
from tests.chaos.ledger import Ledger
from tests.chaos.verdict import mistakes, settled

pytestmark = pytest.mark.real

KEYS = Keys(MODEL)


class Stage:
    """Two workers with two slots each behind one API, and a client for each request."""

    def __init__(self, folder: Path) -> None:
        write_demo_model(folder / f"{MODEL}.gguf")
        self.fleet = Fleet(folder, folder / f"{MODEL}.gguf", workers=2, apis=1)
        self.ledger = Ledger(self.fleet)
        self._asking: list[asyncio.Task[Asked]] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Stage"]:
        async with self.fleet.running():
            self._known = await learn(self.fleet.server_url, 1)
            yield self
            assert await settled(self.fleet, 20) == []
        assert mistakes(self.fleet.folder) == []

    def ask(self, *manners: Manner) -> None:
        """Sends a request for each."""
        for manner in manners:
            name = f"r{len(self._asking)}"
            client = Client(name, 0, self.fleet, self._known, lambda asked: None)
            asked = Asked(name, self.fleet.apis[0], self._known[0], LONGEST, manner)
            self._asking.append(asyncio.create_task(client.ask(asked)))

    async def answers(self) -> list[Asked]:
        """All the requests, once they have ended, and as they may."""
        answers = await asyncio.gather(*self._asking)
        for asked in answers:
            self.ledger.enter(asked)
        assert self.ledger.wrong == []
        return answers

    async def until_running(self, worker: str, jobs: int) -> None:
        """Returns when a worker has so many jobs."""

        async def runs(redis: Redis) -> bool:
            keys = await redis.keys(KEYS.named("running", f"{worker}-*"))
            return sum([await redis.zcard(key) for key in keys]) >= jobs

        await self._until(runs)

    async def until_queued(self, jobs: int) -> None:
        """Returns when so many jobs wait."""

        async def waits(redis: Redis) -> bool:
            return bool(await redis.zcard(KEYS.named("queue")) >= jobs)

        await self._until(waits)

    async def _until(self, condition: Callable[[Redis], Awaitable[bool]]) -> None:
        redis, holds = self.fleet.open_redis(), False
        async with asyncio.timeout(20):
            while not holds:
                await asyncio.sleep(0.02)
                with suppress(RedisError):  # it may be about to start
                    holds = await condition(redis)
        await redis.aclose()

    def log(self, name: str) -> str:
        return (self.fleet.folder / f"{name}.log").read_text()


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with Stage(tmp_path).running() as stage:
        yield stage


async def test_no_accepted_request_fails_when_redis_is_killed_and_comes_back_after_five_seconds(
    stage: Stage,
) -> None:
    stage.ask(*[Manner.STREAM, Manner.WHOLE] * 3)
    await stage.until_running("bridge1", 2)
    await stage.until_queued(2)
    await asyncio.sleep(0.5)  # some words have come
    async with KINDS["redis_killed"].act(stage.fleet, "redis"):
        await asyncio.sleep(5)
    assert {asked.end for asked in await stage.answers()} == {End.COMPLETE}


async def test_bridge_that_was_stopped_for_longer_than_its_lease_is_refused_when_it_wakes(
    stage: Stage,
) -> None:
    stage.ask(*[Manner.STREAM, Manner.WHOLE] * 2)
    await stage.until_running("bridge1", 2)
    await asyncio.sleep(0.5)
    stage.fleet.parts["bridge1"].signal(signal.SIGSTOP)
    answers = await stage.answers()
    stage.fleet.parts["bridge1"].signal(signal.SIGCONT)
    await stage.fleet.until_ready()
    assert "fenced worker=bridge1" in stage.log("bridge1")
    whole = {asked.end for asked in answers if asked.manner is Manner.WHOLE}
    assert whole == {End.COMPLETE}


async def test_claim_that_a_restored_redis_has_forgotten_mixes_no_tokens(stage: Stage) -> None:
    """Two workers, both registered in its eyes, run the same jobs at the same time."""
    first, second, redis = (stage.fleet.parts[name] for name in ("bridge1", "bridge2", "redis"))
    first.signal(signal.SIGSTOP)
    second.signal(signal.SIGSTOP)
    stage.ask(Manner.WHOLE, Manner.STREAM)
    await stage.until_queued(2)
    before_the_claim = stage.fleet.copy_redis_data()
    first.signal(signal.SIGCONT)
    await stage.until_running("bridge1", 2)
    await asyncio.sleep(0.5)
    first.signal(signal.SIGSTOP)
    redis.kill()
    stage.fleet.replace_redis_data(before_the_claim)
    redis.start()
    second.signal(signal.SIGCONT)
    await stage.until_running("bridge2", 2)
    first.signal(signal.SIGCONT)
    whole, streamed = await stage.answers()
    assert whole.end is End.COMPLETE
    assert streamed.end is End.COMPLETE or streamed.code == "worker_failed"
    log = stage.log("bridge1")
    assert "stopped: fenced" in log
    assert "fenced worker=" not in log  # its registration was valid all the time
