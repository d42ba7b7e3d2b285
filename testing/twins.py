"""An API with two workers of one model, which a test kills and starts again."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from openai import OpenAI

from dispatcher.connection import open_redis
from dispatcher.keys import Keys
from dispatcher.registry import read_models
from dispatcher.worker_state import WorkerState
from testing.builders import make_token
from testing.processes import LlamaServer, Program, bridge, free_port
from testing.waiting import wait_until

ALIAS = "twins"


@dataclass(slots=True)
class Twin:
    """One worker: a server and a bridge, each a process that can be killed by itself."""

    name: str
    redis_url: str
    server: LlamaServer
    folder: Path
    parts: dict[str, Program] = field(default_factory=dict)
    stack: ExitStack = field(default_factory=ExitStack)

    def start(self, part: str) -> None:
        log = self.folder / f"{self.name}-{part}.log"
        if part == "server":
            running = self.server.running(log)
        else:
            log.unlink(missing_ok=True)  # what it says when it joins is waited for
            running = bridge(self.redis_url, self.server, log, worker_name=self.name)
        self.parts[part] = self.stack.enter_context(running)

    def kill(self, part: str) -> None:
        self.parts[part].kill()


@dataclass(slots=True)
class Twins:
    """Both of them, and a client."""

    url: str
    redis_url: str
    twins: dict[str, Twin]

    def openai(self) -> OpenAI:
        key = make_token()
        return OpenAI(base_url=f"{self.url}/v1", api_key=key, max_retries=0, timeout=120)

    def http(self) -> httpx.Client:
        headers = {"Authorization": f"Bearer {make_token()}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=120)

    def twin_of(self, worker: str) -> Twin:
        """The one that has this name in Redis."""
        return self.twins[worker.rpartition("-")[0]]

    def at_work(self) -> Twin:
        """The one that has a job; waits for it."""
        wait_until(lambda: any(worker.running for worker in self.workers()), 60)
        return self.twin_of(next(worker.id for worker in self.workers() if worker.running))

    def revive(self, twin: Twin, part: str) -> None:
        """Starts it again, and waits until both take jobs."""
        twin.start(part)
        wait_until(lambda: sum(worker.accepting for worker in self.workers()) == 2, 60)

    def workers(self) -> tuple[WorkerState, ...]:
        async def read() -> tuple[WorkerState, ...]:
            redis = open_redis(self.redis_url)
            try:
                models = await read_models(redis)
            finally:
                await redis.aclose()
            return next((model.workers for model in models if model.model == ALIAS), ())

        return asyncio.run(read())

    def counter(self, name: str) -> int:
        """One of the model's counters in Redis."""

        async def read() -> int:
            redis = open_redis(self.redis_url)
            try:
                found = await redis.hget(Keys(ALIAS).named("counters"), name)
            finally:
                await redis.aclose()
            return int(found or 0)

        return asyncio.run(read())


@contextmanager
def twins(
    url: str, redis_url: str, folder: Path, model: Path, options: tuple[str, ...] = ()
) -> Iterator[Twins]:
    """Two workers with this model's file and four slots each; `options` are their servers'."""
    found = {}
    with ExitStack() as stack:
        for name in ("left", "right"):
            server = LlamaServer(model, free_port(), ALIAS, 4, exact=True, options=options)
            twin = found[name] = Twin(name, redis_url, server, folder)
            stack.callback(twin.stack.close)
            twin.start("server")
            twin.start("bridge")
        both = Twins(url, redis_url, found)
        wait_until(lambda: sum(worker.accepting for worker in both.workers()) == 2, 60)
        yield both
