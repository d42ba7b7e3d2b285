"""Fixtures of the queue's tests; every test that uses Redis is checked for keys it leaks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis

from dispatcher.connection import open_redis
from dispatcher.queue import Queue
from dispatcher.tasks import cancel
from testing.desk import Desk
from testing.ends import Server, make_settings
from testing.key_leaks import leaked_keys
from testing.relay import Relay, relay_to


@pytest.fixture
async def redis(redis: Redis) -> AsyncIterator[Redis]:
    """The client of tests/conftest.py; at the end only model-wide keys may lack a time to live."""
    yield redis
    assert await leaked_keys(redis) == []


@pytest.fixture
async def desk(redis: Redis) -> Desk:
    """A queue with one api, `a`, and nobody else."""
    desk = Desk(redis)
    await desk.heartbeat("a")
    return desk


@pytest.fixture
async def relay(redis_url: str, tmp_path: Path) -> AsyncIterator[Relay]:
    """The same Redis, through a relay that can hold and cut replies."""
    async with relay_to(redis_url, tmp_path / "relay.sock") as relay:
        yield relay


@pytest.fixture
async def relayed(relay: Relay) -> AsyncIterator[Redis]:
    """A client of the relay."""
    client = open_redis(relay.url)
    await client.ping()
    yield client
    await client.aclose()


@pytest.fixture
async def queue(redis: Redis, redis_url: str) -> AsyncIterator[Queue]:
    async with Queue(make_settings(redis_url), 2**20) as queue:
        yield queue


@asynccontextmanager
async def running(server: Server) -> AsyncIterator[None]:
    task = asyncio.create_task(server.outbox.run())
    yield
    await cancel([task])


@pytest.fixture
async def server(redis: Redis, redis_url: str) -> AsyncIterator[Server]:
    client = open_redis(redis_url)
    server = Server(client)
    await server.join()
    async with running(server):
        yield server
    await client.aclose()
