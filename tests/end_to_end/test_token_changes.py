"""Secrets are replaced and tokens revoked while two APIs on one Redis are asked all the time."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import product
from pathlib import Path

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from api.app import create_app
from dispatcher.connection import open_redis
from dispatcher.revocations import revoke_subject, revoke_token
from dispatcher.settings import QueueSettings
from testing.builders import make_settings, make_token
from testing.processes import api, valkey

pytestmark = pytest.mark.real

OLD, NEW = "the secret of yesterday, of 32 bytes", "the secret of tomorrow, of 32 bytes"
WITHIN_S = 10.0
CLIENTS = 8
MANY = 32


@asynccontextmanager
async def an_app(url: str, **secrets: str) -> AsyncIterator[AsyncClient]:
    """An API with these secrets, and a client of it."""
    app: FastAPI = create_app(make_settings(**secrets), QueueSettings(redis_url=url))
    async with (
        app.router.lifespan_context(app),
        AsyncClient(transport=ASGITransport(app), base_url="http://llamaq") as client,
    ):
        yield client


async def status(client: AsyncClient, token: str) -> int:
    """That of a request which the token's scopes do not allow: 403 where it is believed."""
    headers = {"Authorization": f"Bearer {token}"}
    await asyncio.sleep(0)  # no request here waits for anything
    return (await client.post("/v1/embeddings", json={}, headers=headers)).status_code


def a_token(secret: str, sub: str, jti: str) -> str:
    return make_token(secret=secret, sub=sub, jti=jti, iat=int(time.time()), scopes=["models"])


class Fleet:
    """Two APIs, of which a balancer asks those that are up, and clients that ask all the time."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.up: dict[int, AsyncClient] = {}
        self.tokens: set[str] = set()
        self.seen: Counter[int] = Counter()
        self._stacks: dict[int, AsyncExitStack] = {}

    async def restart(self, number: int, **secrets: str) -> None:
        """Has one of them begin anew, once nobody waits for it any more."""
        self.up.pop(number, None)
        await asyncio.sleep(0.05)  # what it was asked is answered
        await self.stop(number)
        stack = self._stacks[number] = AsyncExitStack()
        self.up[number] = await stack.enter_async_context(an_app(self.url, **secrets))

    async def stop(self, number: int) -> None:
        if number in self._stacks:
            await self._stacks.pop(number).aclose()

    async def ask(self) -> None:
        """Asks all of them with all good tokens, for ever."""
        while True:
            for client in list(self.up.values()):
                for token in list(self.tokens):
                    answer = await status(client, token)
                    if token in self.tokens:
                        self.seen[answer] += 1

    async def until_refused(self, token: str) -> float:
        """Seconds until each of them refuses it."""
        began, self.tokens = time.monotonic(), self.tokens - {token}
        async with asyncio.timeout(WITHIN_S):
            while {await status(client, token) for client in self.up.values()} != {401}:
                pass
        return time.monotonic() - began


async def test_no_good_token_is_refused_and_no_revoked_one_is_believed(real_redis_url: str) -> None:
    """At d26fdb4 (M8) there was one secret, and no revocation."""
    fleet = Fleet(real_redis_url)
    redis = open_redis(real_redis_url)
    await redis.flushall()
    kept, lost, gone = (a_token(OLD, sub, sub) for sub in ("kept", "lost", "gone"))
    fleet.tokens = {kept, lost, gone}
    for number in (1, 2):
        await fleet.restart(number, jwt_secret=OLD)
    clients = [asyncio.create_task(fleet.ask()) for _ in range(CLIENTS)]
    try:
        for number in (1, 2):  # first all believe the new one
            await fleet.restart(number, jwt_secret=OLD, jwt_old_secrets=f"{NEW}\n")
        fleet.tokens |= {a_token(NEW, "new", "new")}
        await revoke_token(redis, "lost", int(time.time()) + 3600)
        took_s = await fleet.until_refused(lost)
        for number in (1, 2):  # then the new one signs
            await fleet.restart(number, jwt_secret=NEW, jwt_old_secrets=f"{OLD}\n")
        assert [await status(client, lost) for client in fleet.up.values()] == [401, 401]
        await revoke_subject(redis, "gone", 0)
        took_s = max(took_s, await fleet.until_refused(gone))
        fleet.tokens -= {kept}
        for number in (1, 2):  # at last nobody believes the old one
            await fleet.restart(number, jwt_secret=NEW)
        assert [await status(client, kept) for client in fleet.up.values()] == [401, 401]
    finally:
        for task in clients:
            task.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        for number in (1, 2):
            await fleet.stop(number)
        await redis.flushall()
        await redis.aclose()
    assert set(fleet.seen) == {403}
    assert fleet.seen[403] > 100
    print(f"{fleet.seen[403]} requests; revoked within {took_s:.2f} s")


async def test_under_load_processes_of_two_secrets_refuse_no_good_token(
    real_redis_url: str, tmp_path: Path
) -> None:
    """Two processes amid a replacement, one with each secret, which many ask at once."""
    redis, seen = open_redis(real_redis_url), Counter[int | str]()
    await redis.flushall()
    kept, lost, gone, new = (
        a_token(secret, sub, sub)
        for secret, sub in ((OLD, "kept"), (OLD, "lost"), (OLD, "gone"), (NEW, "new"))
    )
    good, bad = {kept, lost, gone, new}, (lost, gone)
    async with AsyncExitStack() as stack, AsyncClient(trust_env=False) as client:
        urls = await two_processes(stack, real_redis_url, tmp_path)
        tasks = [asyncio.create_task(ask_for_models(client, urls, good, seen)) for _ in range(MANY)]
        while seen[200] < 10 * MANY:
            await asyncio.gather(*(models_status(client, url, kept) for url in urls))
        good -= {*bad}
        await revoke_token(redis, "lost", int(time.time()) + 3600)
        await revoke_subject(redis, "gone", 0)
        async with asyncio.timeout(WITHIN_S):
            for url, token in product(urls, bad):
                while await models_status(client, url, token) != 401:
                    seen["asked again"] += 1
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert {await models_status(client, url, token) for url in urls for token in good} == {200}
    await redis.aclose()
    assert set(seen) <= {200, "asked again"}


async def two_processes(stack: AsyncExitStack, redis_url: str, folder: Path) -> list[str]:
    """Two APIs, each of which signs with a secret that the other one believes."""
    pairs = ((OLD, NEW), (NEW, OLD))
    running = [
        api(redis_url, folder / f"{number}.log", jwt_secret=own, jwt_old_secrets=f"{other}\n")
        for number, (own, other) in enumerate(pairs)
    ]
    begun = await asyncio.gather(*(asyncio.to_thread(each.__enter__) for each in running))
    for each in running:
        stack.push(each.__exit__)
    return [url for _, url in begun]


async def ask_for_models(
    client: AsyncClient, urls: list[str], good: set[str], seen: Counter[int | str]
) -> None:
    """Asks all of them with all good tokens, for ever."""
    while True:
        for url in list(urls):
            for token in list(good):
                answer = await models_status(client, url, token)
                if token in good:
                    seen[answer] += 1


async def models_status(client: AsyncClient, url: str, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return (await client.get(f"{url}/v1/models", headers=headers)).status_code


async def test_revocation_outlives_redis_and_the_api(tmp_path: Path) -> None:
    options = "--appendonly", "yes", "--appendfsync", "always"
    token = a_token(OLD, "lost", "lost")
    with valkey(tmp_path, *options) as url:
        redis = open_redis(url)
        await revoke_token(redis, "lost", int(time.time()) + 3600)
        await redis.aclose()
    with valkey(tmp_path, *options) as url:
        async with an_app(url, jwt_secret=OLD) as client:
            assert await status(client, token) == 401
            assert await status(client, a_token(OLD, "lost", "other")) == 403
