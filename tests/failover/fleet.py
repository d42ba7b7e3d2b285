"""A small fleet whose Redis is behind Sentinels, and clients that compare every byte."""

import asyncio
import os
import re
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from dispatcher.keys import Keys
from llamaq.demo_model import write_demo_model
from testing.processes import llamaq
from tests.chaos.clients import LONGEST, Asked, Client, Known, Manner, learn
from tests.chaos.fleet import MODEL, Fleet, Part
from tests.chaos.ledger import Ledger
from tests.chaos.verdict import mistakes, settled
from tests.failover.servers import Servers

_FORGOTTEN = re.compile(r"job=(\S+) was forgotten by Redis; it is queued again")
PROMPTS = 4
KEYS = Keys(MODEL)


class SentinelFleet(Fleet):
    """Real APIs and bridges that know nothing but where the Sentinels are."""

    def __init__(self, folder: Path, model: Path, workers: int, redis: Servers) -> None:
        self.servers_of_redis = redis
        super().__init__(folder, model, workers, apis=1)
        del self.parts["redis"]

    @property
    def redis_url(self) -> str:
        return self.servers_of_redis.url

    def _add_llamaq(self, command: str, name: str, told: Mapping[str, str]) -> None:
        environment = {**told, "LLAMAQ_REDIS_URL": self.redis_url}
        self.parts[name] = Part(name, llamaq(command), self.folder / f"{name}.log", environment)


class Trial:
    """Asks while the primary changes, and judges the answers."""

    def __init__(self, folder: Path, workers: int, redis: Servers | None = None) -> None:
        model = folder / f"{MODEL}.gguf"
        write_demo_model(model)
        self.fleet = SentinelFleet(folder, model, workers, redis or Servers(folder))
        self.redis = self.fleet.servers_of_redis
        self.ledger = Ledger(self.fleet)
        self._known: list[Known] = []
        self._asking: list[asyncio.Task[Asked]] = []
        self._number = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Trial"]:
        with self.redis.running():
            async with self.fleet.running():
                self._known = await learn(self.fleet.server_url, PROMPTS)
                yield self

    def ask(self, *manners: Manner, tokens: int = LONGEST) -> None:
        """Sends a request for each."""
        for manner in manners:
            self._number += 1
            name = f"r{self._number}"
            client = Client(name, 0, self.fleet, self._known, lambda asked: None)
            known = self._known[self._number % len(self._known)]
            asked = Asked(name, name, self.fleet.apis[0], known, tokens, manner)
            self._asking.append(asyncio.create_task(client.ask(asked)))

    async def until_all_are_there(self) -> None:
        """Returns when Redis has each request that was asked and has not been answered."""
        redis = self.fleet.open_redis()
        async with asyncio.timeout(30):
            there = -1
            while there != sum(not asked.done() for asked in self._asking):
                await asyncio.sleep(0.02)
                running = await redis.hget(KEYS.named("counters"), "running")
                there = int(running or 0) + await redis.zcard(KEYS.named("queue"))
        await redis.aclose()

    async def answers(self) -> list[Asked]:
        """Those to all requests since the last call; each is judged."""
        asking, self._asking = self._asking, []
        answers = await asyncio.gather(*asking)
        for asked in answers:
            self.ledger.enter(asked)
        return answers

    def say(self, command: str) -> str:
        """What a command prints that is told no more than where the Sentinels are."""
        told = {**os.environ, "LLAMAQ_REDIS_URL": self.fleet.redis_url}
        done = subprocess.run(llamaq(command), env=told, capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def queued_again(self) -> set[str]:
        """The jobs that an API has queued again, since Redis had forgotten them."""
        logs = (self.fleet.folder / f"{api}.log" for api in self.fleet.apis)
        return {job for log in logs for job in _FORGOTTEN.findall(log.read_text())}

    def wrong(self) -> list[str]:
        """Answers that are not what they must be, and mistakes in the logs."""
        return [*self.ledger.wrong, *mistakes(self.fleet.folder)]

    async def left_behind(self) -> list[str]:
        """What is left of a job when all have ended. One that ended on an old primary goes late."""
        await self.fleet.until_ready()
        return await settled(self.fleet, 30)
