"""Fixtures of the queue's tests; every test that uses Redis is checked for keys it leaks."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from dispatcher.connection import open_redis
from tests.unit.dispatcher.desk import Desk
from tests.unit.dispatcher.key_leaks import leaked_keys
from tests.unit.dispatcher.relay import Relay, relay_to


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
