"""Limits hold over two API processes, also where one of them is killed, or Redis."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest
from httpx import AsyncClient, Response

from dispatcher.connection import LinkedRedis
from dispatcher.tasks import cancel
from dispatcher.tenant_limits import set_limits
from testing.builders import make_chat, make_token
from testing.killable import Killable
from testing.limited import Worker
from testing.processes import Program, api
from testing.waiting import until

pytestmark = pytest.mark.real

MANY, OPEN, PER_MINUTE = 64, 4, 20
LEASE_S = 2.0
WITHIN_S = 1.0  # every API knows limits that are set


class Clients:
    """Those of the tenant `ann`, and what they have been told."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self.asked: list[asyncio.Task[Response]] = []

    def ask(self, urls: Sequence[str], number: int, tenant: str = "ann") -> None:
        """So many at once, at these by turns."""
        headers = {"Authorization": f"Bearer {make_token(sub=tenant)}"}
        for i in range(number):
            url = f"{urls[i % len(urls)]}/v1/chat/completions"
            answer = self._client.post(url, content=make_chat(), headers=headers)
            self.asked.append(asyncio.create_task(answer))

    @property
    def waiting(self) -> int:
        return sum(not task.done() for task in self.asked)

    async def until_wait(self, number: int) -> None:
        """Returns when only so many are not answered."""
        await until(lambda: asyncio.sleep(0, self.waiting == number))

    async def ends(self) -> list[int]:
        """The statuses of all that were asked, 0 where the connection broke."""
        answers = await asyncio.gather(*self.asked, return_exceptions=True)
        self.asked = []
        return [each.status_code if isinstance(each, Response) else 0 for each in answers]


class Stage:
    """Two API processes, their Redis, and a worker in this process."""

    def __init__(self, server: Killable, redis: LinkedRedis, client: AsyncClient) -> None:
        self.server, self.redis = server, redis
        self.clients = Clients(client)
        self.worker = Worker(redis)
        self.urls: list[str] = []
        self.apis: list[Program] = []
        self._working: list[asyncio.Task[None]] = []

    async def work(self) -> None:
        """The worker takes what comes."""
        await cancel(self._working)
        await self.worker.join()
        self._working = [asyncio.create_task(self.worker.run())]

    async def rest(self) -> None:
        """It takes nothing more."""
        await cancel(self._working)

    async def until_taken(self, jobs: int) -> None:
        """Returns when the worker has had so many."""
        await until(lambda: asyncio.sleep(0, len(self.worker.taken) == jobs))

    async def limit(self, **limits: int) -> None:
        await set_limits(self.redis, "ann", limits)
        await asyncio.sleep(WITHIN_S)


@asynccontextmanager
async def a_stage(folder: Path) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        server = Killable(folder)
        stack.push_async_callback(server.close)
        redis = await server.start()
        client = AsyncClient(timeout=30, trust_env=False, limits=httpx.Limits(max_connections=200))
        stage = Stage(server, redis, await stack.enter_async_context(client))
        logs = [folder / f"api{number}.log" for number in range(2)]
        for process, url in await asyncio.gather(*(_start(stack, server.url, log) for log in logs)):
            stage.apis.append(process)
            stage.urls.append(url)
        await stage.work()
        stack.push_async_callback(stage.rest)
        yield stage


async def _start(stack: AsyncExitStack, redis_url: str, log: Path) -> tuple[Program, str]:
    return await asyncio.to_thread(stack.enter_context, api(redis_url, log, lease_s=str(LEASE_S)))


async def test_limits_are_exact_though_an_api_is_killed_and_redis_is(tmp_path: Path) -> None:
    async with a_stage(tmp_path) as stage:
        clients, worker, (first, second) = stage.clients, stage.worker, stage.urls
        await stage.limit(concurrent=OPEN, requests_per_minute=PER_MINUTE)
        worker.open.clear()
        clients.ask([first, second], MANY)
        await clients.until_wait(OPEN)
        await stage.until_taken(OPEN)
        worker.open.set()
        assert Counter(await clients.ends()) == {200: OPEN, 429: MANY - OPEN}

        worker.open.clear()
        clients.ask([first, second], OPEN)
        await stage.until_taken(2 * OPEN)
        stage.apis[0].kill()  # with half of the places
        begun = 2 * OPEN + OPEN // 2
        async with asyncio.timeout(LEASE_S + 6):
            while len(worker.taken) < begun:
                clients.ask([second], OPEN)
                await until(lambda: asyncio.sleep(0, clients.waiting <= OPEN))
        clients.ask([second], MANY)
        await clients.until_wait(OPEN)
        worker.open.set()
        ends = Counter(await clients.ends())
        assert (ends[200], ends[0], set(ends)) == (OPEN, OPEN // 2, {0, 200, 429})
        assert len(worker.taken) == begun

        await stage.limit(concurrent=0)
        clients.ask([second], MANY)
        left = PER_MINUTE - begun
        assert Counter(await clients.ends()) == {200: left, 429: MANY - left}
        assert len(worker.taken) == PER_MINUTE

        await stage.rest()
        stage.server.kill()
        clients.ask([second], 1)
        clients.ask([second], 1, tenant="bob")
        refused = await asyncio.gather(*clients.asked)
        for answer in refused:
            assert (answer.status_code, answer.json()["error"]["code"]) == (
                503,
                "redis_unavailable",
            )
            assert answer.headers["retry-after"]
        await clients.ends()
        await stage.server.start()
        await until(lambda: _is_known(stage))
        await stage.work()
        clients.ask([second], 1)
        assert await clients.ends() == [429]
        clients.ask([second], 1, tenant="bob")
        assert await clients.ends() == [200]


async def _is_known(stage: Stage) -> bool:
    """Whether the API has its Redis again."""
    stage.clients.ask(stage.urls[1:], 1)
    return await stage.clients.ends() != [503]
