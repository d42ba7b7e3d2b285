"""One model's scripted servers with their bridges, and a client of a real API before them."""

import asyncio
import secrets
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx

from dispatcher.connection import open_redis
from dispatcher.keys import Keys
from dispatcher.model_state import ModelState
from dispatcher.registry import read_models
from dispatcher.settings import QueueSettings
from dispatcher.worker_state import WorkerState
from testing.fake_llama_server import FakeLlamaServer, Reply
from testing.waiting import until
from worker_bridge.metrics import BridgeMetrics
from worker_bridge.pause_watch import watch_pause
from worker_bridge.service import serve
from worker_bridge.settings import BridgeSettings
from worker_bridge.shared import Shared
from worker_bridge.signals import Signals

QUESTION = {"messages": [{"role": "user", "content": "Hi"}]}
WHOLE = "Hello world"
NO_FOLDER = "/nonexistent"  # this machine's owner may have paused it


class Stage:
    """One model's servers and their bridges, and a client."""

    def __init__(self, redis_url: str, client: httpx.AsyncClient) -> None:
        self.model = f"m-{secrets.token_hex(4)}"
        self.script: deque[Reply] = deque()
        self.redis = open_redis(redis_url)
        self.redis_url = self.bridge_url = redis_url
        self.client = client
        self.metrics = BridgeMetrics()
        self._drains: dict[int, asyncio.Event] = {}

    def server(self, **about: Any) -> FakeLlamaServer:
        """A server that shares the script with the others."""
        return FakeLlamaServer(self.model, self.script, **about)

    @asynccontextmanager
    async def bridged(self, server: FakeLlamaServer, **settings: Any) -> AsyncIterator[None]:
        """Runs a server and a bridge to it until the worker has joined."""
        async with server.running():
            before = sum(worker.accepting for worker in await self.workers())
            async with self.bridge(server, **settings):
                await until(self.has_workers(before + 1))
                yield

    @asynccontextmanager
    async def bridge(
        self, server: FakeLlamaServer, *, lease_s: float = 4, **settings: Any
    ) -> AsyncIterator[asyncio.Task[None]]:
        signals = Signals()
        self._drains[server.port] = signals.drain
        told = self.settings(server, **settings)
        queue = QueueSettings(redis_url=self.bridge_url, lease_s=lease_s)
        commands = open_redis(self.bridge_url)
        shared = Shared(commands, self.metrics, pause=watch_pause(told, frees=False))
        serving = asyncio.create_task(serve(told, queue, shared, signals))
        try:
            yield serving
        finally:
            signals.end_at_once()
            with suppress(Exception):
                await serving
            await commands.aclose()

    def settings(self, server: FakeLlamaServer, **settings: Any) -> BridgeSettings:
        """The settings of a server's worker."""
        url, key, name = server.url, server.key, f"w{server.port}"
        told = {"server": url, "server_key": key, "worker_name": name, "data_dir": NO_FOLDER}
        return BridgeSettings(**told | settings)

    def drain(self, server: FakeLlamaServer) -> None:
        """SIGTERM for the last bridge of this server."""
        self._drains[server.port].set()

    async def state(self, model: str | None = None) -> ModelState | None:
        models = await read_models(self.redis)
        return next((state for state in models if state.model == (model or self.model)), None)

    async def workers(self, model: str | None = None) -> tuple[WorkerState, ...]:
        state = await self.state(model)
        return state.workers if state else ()

    def has_workers(self, count: int) -> Callable[[], Any]:
        async def check() -> bool:
            return sum(worker.accepting for worker in await self.workers()) == count

        return check

    def has_breaker(self, mode: str) -> Callable[[], Any]:
        """Whether the circuit breaker of the only worker is in this state."""

        async def check() -> bool:
            return [worker.breaker for worker in await self.workers()] == [mode]

        return check

    def has_health(self, health: str) -> Callable[[], Any]:
        """Whether no worker accepts, and the only one says that it is in this state."""

        async def check() -> bool:
            found = [(worker.health, worker.accepting) for worker in await self.workers()]
            return found == [(health, False)]

        return check

    async def jobs(self) -> list[dict[str, str]]:
        """What Redis keeps of this model's jobs."""
        keys = await self.redis.keys(Keys(self.model).named("job", "*"))
        return [await self._hash(key) for key in keys]

    def has_job(self, state: str) -> Callable[[], Any]:
        """Whether the only job is in this state."""

        async def check() -> bool:
            return [job["state"] for job in await self.jobs()] == [state]

        return check

    async def facts(self, server: FakeLlamaServer) -> dict[str, str]:
        """What Redis knows of the worker of a server; empty before it has joined."""
        keys = await self.redis.keys(Keys(self.model).named("worker", f"w{server.port}-*"))
        return await self._hash(keys[0]) if keys else {}

    def knows(self, server: FakeLlamaServer, **facts: str) -> Callable[[], Any]:
        """Whether Redis knows just that of a server's worker."""

        async def check() -> bool:
            return facts.items() <= (await self.facts(server)).items()

        return check

    async def _hash(self, key: bytes) -> dict[str, str]:
        return {k.decode(): v.decode() for k, v in (await self.redis.hgetall(key)).items()}

    async def ask(self, **fields: Any) -> httpx.Response:
        return await self.post("/v1/chat/completions", **QUESTION | fields)

    async def post(self, path: str, **fields: Any) -> httpx.Response:
        """The answer of an endpoint, asked with the name of the model."""
        return await self.client.post(path, json={"model": self.model} | fields)

    async def text(self, **fields: Any) -> str:
        """The text of an answer that is not streamed."""
        response = await self.ask(**fields)
        assert response.status_code == 200, response.text
        return str(response.json()["choices"][0]["message"]["content"])

    async def events(self, **fields: Any) -> list[str]:
        """The data of a streamed answer's events."""
        response = await self.ask(stream=True, **fields)
        assert response.status_code == 200, response.text
        lines = response.text.splitlines()
        return [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
