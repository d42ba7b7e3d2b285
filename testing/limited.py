"""Two APIs on one Redis, and a worker that answers when a test lets it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

from httpx import ASGITransport, AsyncClient, Response

from api.app import create_app
from dispatcher.commands import Commands, Offer
from dispatcher.connection import LinkedRedis, open_redis
from dispatcher.cost import Usage
from dispatcher.keys import TENANTS, Keys
from dispatcher.settings import QueueSettings
from dispatcher.tasks import cancel
from dispatcher.tenant_limits import TenantLimits, set_limits
from dispatcher.worker import WorkerFacts, WorkerSession
from testing.builders import make_chat, make_settings, make_token
from testing.service import ANSWER
from testing.waiting import until

SLOTS = 64
USED = Usage(1, 1)


class Worker:
    """Has `slots`; answers what it takes once it is `open`."""

    def __init__(self, redis: LinkedRedis, model: str = "tiny") -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.taken: list[str] = []
        self.used = USED
        self._session = WorkerSession(model, Commands(redis, Keys(model)), 60)
        self._facts = WorkerFacts(model, "http://server", "healthy", 2048, "b1", "f1")

    async def join(self, slots: int = SLOTS, **facts: Any) -> None:
        """Serves with this number of slots from now on."""
        self._session.end_epoch()
        await self._session.register(slots, True, replace(self._facts, **facts))

    async def run(self) -> None:
        """Takes what comes, for ever."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                taken = await self._session.claim(Offer(SLOTS, 4))
                for claim in taken.claims:
                    self.taken.append(claim.job)
                    tasks.create_task(self._answer(claim.attempt_id))
                await asyncio.sleep(0.005)

    async def _answer(self, attempt_id: str) -> None:
        await self.open.wait()
        await self._session.finish(attempt_id, "done", list(ANSWER), self.used)


class Stage:
    """The clients of two APIs, their Redis, and a worker of the model `tiny`."""

    def __init__(
        self,
        apis: list[AsyncClient],
        redis: LinkedRedis,
        worker: Worker,
        settings: list[TenantLimits],
    ) -> None:
        self.apis, self.redis, self.worker = apis, redis, worker
        self._settings = settings

    async def chat(
        self, api: int = 0, path: str = "/v1/chat/completions", **about: Any
    ) -> Response:
        """A request at one of the APIs; `about` has `fields` of its body, the rest are claims."""
        fields = about.pop("fields", {})
        headers = {"Authorization": f"Bearer {make_token(**{'sub': 'ann', **about})}"}
        return await self.apis[api].post(path, content=make_chat(**fields), headers=headers)

    async def many(self, number: int, **about: Any) -> list[Response]:
        """A number of requests at once, at both APIs in turn."""
        return await asyncio.gather(*(self.chat(i % 2, **about) for i in range(number)))

    async def limit(self, name: str = "ann", **setting: Any) -> None:
        """Sets limits, and waits until both APIs know them."""
        await set_limits(self.redis, name, setting)
        await self.until_known()

    async def until_known(self) -> None:
        """Returns when both APIs have read what is set now; they look once a second."""
        version = await self.redis.hget(TENANTS, "|version")
        await until(
            lambda: asyncio.sleep(0, all(each._version == version for each in self._settings))
        )


@asynccontextmanager
async def stage(url: str) -> AsyncIterator[Stage]:
    """All of it, on an empty Redis."""
    async with AsyncExitStack() as stack:
        redis, other = open_redis(url), open_redis(url)
        for client in (redis, other):
            stack.push_async_callback(client.aclose)
        await redis.flushall()
        stack.push_async_callback(redis.flushall)
        worker = Worker(other)
        await worker.join()
        apis, settings = [], []
        for _ in range(2):
            app = create_app(make_settings(), QueueSettings(redis_url=url))  # type: ignore[arg-type]
            await stack.enter_async_context(app.router.lifespan_context(app))
            settings.append(app.state.context.limiter.settings)
            transport = ASGITransport(app)
            client = AsyncClient(transport=transport, base_url="http://llamaq")
            apis.append(await stack.enter_async_context(client))
        running = asyncio.create_task(worker.run())
        stack.push_async_callback(cancel, [running])
        yield Stage(apis, redis, worker, settings)
