"""The fleet under test: Redis, APIs, bridges, llama.cpp servers, and a proxy between each pair."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx
from redis.asyncio import Redis

from dispatcher.connection import open_redis
from dispatcher.errors import RedisUnavailable
from dispatcher.registry import read_models
from llamaq.embedded_redis import find_server
from testing.builders import SECRET
from testing.processes import LlamaServer, free_port
from tests.chaos.proxy import Link
from tests.chaos.sums import Sums, add, read_sums

MODEL = "tiny"
SLOTS = 2  # of each worker
PACE = 20_000  # bytes per second of one answer: some 50 tokens
START_S = 60.0

API_SETTINGS = {
    "LLAMAQ_QUEUE_WAIT_S": "40",
    "LLAMAQ_REQUEST_TIMEOUT_S": "60",
    "LLAMAQ_STREAM_TIMEOUT_S": "60",
    "LLAMAQ_QUEUE_POSITION_AFTER_S": "2",
}


class Part:
    """One process, which can be killed, stopped for a while and started again."""

    def __init__(
        self, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str]
    ) -> None:
        self.name = name
        self._command = command
        self._log = log
        clean = {key: value for key, value in os.environ.items() if "LLAMAQ_" not in key}
        self._environment = {**clean, **environment}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Of the process while it lives."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self, *options: str) -> None:
        """Starts it, with some more options, unless it runs."""
        if self.pid is not None:
            return
        command = [*self._command, *options]
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, env=self._environment
            )

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal, if it runs."""
        if self.pid is not None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)


class Fleet:
    """Every process and every link between two of them, by name."""

    def __init__(self, folder: Path, model: Path, workers: int, apis: int) -> None:
        self.folder = folder
        self.apis = [f"api{number}" for number in range(1, apis + 1)]
        self.bridges = [f"bridge{number}" for number in range(1, workers + 1)]
        self.servers = [f"server{number}" for number in range(1, workers + 1)]
        self.parts: dict[str, Part] = {}
        self.links: dict[str, Link] = {}
        self.redis_folder = folder / "redis"
        self._redis_port = free_port()
        self.forgotten: Sums = {}
        self._troubles: dict[str, list[list[float]]] = {}
        self.parts["redis"] = self._redis("redis", self._redis_port, self.redis_folder)
        for name in self.servers:
            self._add_server(name, model)
        for name, server in zip(self.bridges, self.servers, strict=True):
            self._add_bridge(name, server)
        for name in self.apis:
            self._add_api(name)

    def api_url(self, api: str) -> str:
        """Where clients find an API."""
        return f"http://127.0.0.1:{self.links[f'client-{api}'].port}"

    @property
    def server_url(self) -> str:
        """One of the llama.cpp servers, past its proxy."""
        link = self.links[f"{self.bridges[0]}-{self.servers[0]}"]
        return f"http://127.0.0.1:{link.target_port}"

    def open_redis(self) -> Redis:
        """A client that no fault of a link touches."""
        return open_redis(self.redis_url)

    @property
    def redis_url(self) -> str:
        """Where Redis is, past its proxies."""
        return f"redis://127.0.0.1:{self._redis_port}"

    @contextmanager
    def trouble(self, what: str) -> Iterator[None]:
        """Notes for how long clients of an API may find their connections broken, and the like."""
        span = [time.monotonic(), float("inf")]
        self._troubles.setdefault(what, []).append(span)
        try:
            yield
        finally:
            span[1] = time.monotonic()

    def had_trouble(self, what: str, since: float, until: float) -> bool:
        """Whether there was such trouble between these times, or a moment before or after."""
        spans = self._troubles.get(what, [])
        return any(begin <= until + 0.5 and end >= since - 0.5 for begin, end in spans)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Starts everything, and ends it."""
        for link in self.links.values():
            await link.open()
        try:
            for part in self.parts.values():
                part.start()
            await self.until_ready()
            yield
        finally:
            for part in self.parts.values():
                part.kill()
            for link in self.links.values():
                await link.close()

    @asynccontextmanager
    async def old_master(self, bridge: str) -> AsyncIterator[None]:
        """A second Redis with the same data, for this bridge alone: as if it had not heard yet that
        all others have a new one.
        """
        old = self._redis("old-redis", port := free_port(), self.copy_redis_data())
        old.start()
        link = self.links[f"{bridge}-redis"]
        here, link.target_port = link.target_port, port
        link.cut()
        try:
            yield
        finally:
            link.target_port = here
            link.cut()
            old.kill()

    async def usage_in(self, folder: Path) -> Sums:
        """What end users have used, as `tenant|user`, by the data of a Redis that is down."""
        reader = self._redis("usage-redis", port := free_port(), folder)
        reader.start()
        redis = open_redis(f"redis://127.0.0.1:{port}")
        try:
            return await read_sums(redis, MODEL)
        finally:
            await redis.aclose()
            reader.kill()

    def forget(self, had: Sums, has: Sums) -> None:
        """Notes what Redis knew of usage, and does not know any more."""
        add(self.forgotten, had)
        add(self.forgotten, has, -1)

    async def until_ready(self, timeout_s: float = START_S) -> None:
        """Returns when every API and every worker serves; raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            while not await self._is_ready():  # noqa: ASYNC110  # nobody tells
                await asyncio.sleep(0.2)

    async def _is_ready(self) -> bool:
        redis = self.open_redis()
        try:
            states = await read_models(redis)
        except RedisUnavailable:
            return False
        finally:
            await redis.aclose()
        workers = [worker for state in states for worker in state.workers]
        names = {worker.id.rsplit("-", 1)[0] for worker in workers if worker.accepting}
        if names != set(self.bridges) or len(workers) != len(self.bridges):
            return False
        async with httpx.AsyncClient(trust_env=False, timeout=2) as client:
            try:
                answers = [await client.get(f"{self.api_url(api)}/ready") for api in self.apis]
            except httpx.HTTPError:
                return False
        return all(answer.status_code == 200 for answer in answers)

    def _redis(self, name: str, port: int, folder: Path) -> Part:
        folder.mkdir(exist_ok=True)
        command = [
            *(str(find_server()), "--port", str(port), "--bind", "127.0.0.1"),
            *("--dir", str(folder), "--save", "", "--loglevel", "warning"),
            # What was written outlives the process; a busy disk would only stop it now and then.
            *("--appendonly", "yes", "--appendfsync", "no"),
            *("--enable-debug-command", "yes"),
        ]
        return Part(name, command, self.folder / f"{name}.log", {})

    def _add_server(self, name: str, model: Path) -> None:
        server = LlamaServer(model, free_port(), MODEL, SLOTS)
        self.parts[name] = Part(name, server.command(), self.folder / f"{name}.log", {})
        self._add_link(f"bridge{name[6:]}-{name}", server.port, PACE)

    def _add_bridge(self, name: str, server: str) -> None:
        told = {
            "LLAMAQ_SERVER": f"http://127.0.0.1:{self.links[f'{name}-{server}'].port}",
            "LLAMAQ_WORKER_NAME": name,
        }
        self._add_llamaq("bridge", name, told)

    def _add_api(self, name: str) -> None:
        port = free_port()
        self._add_link(f"client-{name}", port)
        told = {"LLAMAQ_JWT_SECRET": SECRET, "LLAMAQ_PORT": str(port), **API_SETTINGS}
        self._add_llamaq("api", name, told)

    def _add_llamaq(self, command: str, name: str, told: Mapping[str, str]) -> None:
        link = self._add_link(f"{name}-redis", self._redis_port)
        environment = {**told, "LLAMAQ_REDIS_URL": f"redis://127.0.0.1:{link.port}"}
        launch = [sys.executable, "-m", "tests.chaos.launcher", command]
        self.parts[name] = Part(name, launch, self.folder / f"{name}.log", environment)

    def _add_link(self, name: str, target_port: int, pace: float = 0) -> Link:
        self.links[name] = Link(name, free_port(), target_port, pace)
        return self.links[name]

    def redis_commands(self) -> int:
        """How many commands Redis would read when it starts."""
        files = self.redis_folder.glob("appendonlydir/*.aof")
        return sum(file.read_bytes().count(b"\r\n*") for file in files) + 1

    def copy_redis_data(self) -> Path:
        """A copy of what Redis has on disk now."""
        copy = self.folder / "redis-copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.redis_folder, copy)
        return copy

    def replace_redis_data(self, copy: Path | None) -> None:
        """Puts such a copy in the place of the data of a Redis that is down; None: nothing."""
        shutil.rmtree(self.redis_folder)
        if copy is None:
            self.redis_folder.mkdir()
        else:
            copy.rename(self.redis_folder)
