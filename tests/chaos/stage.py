"""A small fleet for tests of single faults, and clients that compare every byte."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import RedisError

from dispatcher.keys import Keys
from llamaq.demo_model import write_demo_model
from tests.chaos.clients import LONGEST, Asked, Client, Manner, learn
from tests.chaos.fleet import MODEL, Fleet
from tests.chaos.ledger import Ledger
from tests.chaos.verdict import mistakes, settled

KEYS = Keys(MODEL)


class Stage:
    """Two workers with two slots each behind one API. Each `scene` finds and leaves it whole."""

    def __init__(self, folder: Path) -> None:
        write_demo_model(folder / f"{MODEL}.gguf")
        self.fleet = Fleet(folder, folder / f"{MODEL}.gguf", workers=2, apis=1)
        self._asking: list[asyncio.Task[Asked]] = []
        self._read: dict[str, int] = {}
        self._old: list[bytes] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Stage"]:
        async with self.fleet.running():
            self._known = await learn(self.fleet.server_url, 4)
            yield self

    @asynccontextmanager
    async def scene(self) -> AsyncIterator["Stage"]:
        self._asking, self._old = [], await self._job_keys()
        self._read = {log.stem: log.stat().st_size for log in self.fleet.folder.glob("*.log")}
        yield self
        await self.fleet.until_ready()
        assert await settled(self.fleet, 30) == []
        assert mistakes(self.fleet.folder) == []

    def ask(self, *manners: Manner, tokens: int = LONGEST) -> None:
        """Sends a request for each."""
        for manner in manners:
            number = len(self._asking)
            client = Client(f"r{number}", 0, self.fleet, self._known, lambda asked: None)
            known = self._known[number % len(self._known)]
            asked = Asked(f"r{number}", f"r{number}", self.fleet.apis[0], known, tokens, manner)
            self._asking.append(asyncio.create_task(client.ask(asked)))

    async def answers(self) -> list[Asked]:
        """All the requests, once they have ended, and as they may."""
        answers, ledger = await asyncio.gather(*self._asking), Ledger(self.fleet)
        for asked in answers:
            ledger.enter(asked)
        assert ledger.wrong == []
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

    async def until_all_are_there(self, queued: int) -> None:
        """Returns when so many of the requests wait, and all others run."""

        async def are_there(redis: Redis) -> bool:
            running = await redis.hget(KEYS.named("counters"), "running")
            waiting = await redis.zcard(KEYS.named("queue"))
            return (waiting, int(running or 0)) == (queued, len(self._asking) - queued)

        await self._until(are_there)

    async def _until(self, condition: Callable[[Redis], Awaitable[bool]]) -> None:
        redis, holds = self.fleet.open_redis(), False
        async with asyncio.timeout(20):
            while not holds:
                await asyncio.sleep(0.02)
                with suppress(RedisError):  # it may be about to start
                    holds = await condition(redis)
        await redis.aclose()

    async def jobs(self) -> list[dict[bytes, bytes]]:
        """What Redis knows of the jobs of this scene."""
        redis = self.fleet.open_redis()
        new = [key for key in await self._job_keys() if key not in self._old]
        rows = [await redis.hgetall(key) for key in new]
        await redis.aclose()
        return rows

    async def _job_keys(self) -> list[bytes]:
        redis = self.fleet.open_redis()
        keys = await redis.keys(KEYS.named("job", "*"))
        await redis.aclose()
        return list(keys)

    def log(self, name: str) -> str:
        """What a process has logged in this scene."""
        return (self.fleet.folder / f"{name}.log").read_text()[self._read[name] :]
