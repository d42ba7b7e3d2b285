"""Redis is far away, or silent: many requests wait for one answer, and none behind another."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from dispatcher.commands import Offer
from dispatcher.errors import RedisUnavailable
from dispatcher.frames import Kind
from dispatcher.queue import Queue
from testing.ends import KEYS, Client, Server, make_job, make_settings, over
from testing.relay import Relay, relay_to
from testing.waiting import until

FAR_S = 0.2
MANY = 60


@pytest.fixture
async def far(real_redis_url: str, tmp_path: Path) -> AsyncIterator[Relay]:
    async with relay_to(real_redis_url, tmp_path / "relay.sock") as relay:
        yield relay


async def answer(server: Server) -> None:
    claims = (await server.session.claim(Offer(MANY))).claims
    for claim in claims:
        server.start(claim)
        server.say(claim, 1, b"first")
    for claim in claims:
        await server.finish(claim, 2)


async def test_burst_over_a_slow_link_takes_few_round_trips(
    real_redis: Redis, far: Relay, real_redis_url: str
) -> None:
    server = Server(real_redis)
    await server.join(MANY)
    sending = asyncio.create_task(server.outbox.run())
    far.delay_s = FAR_S
    async with Queue(make_settings(far.url), 2**20) as queue:
        await queue.open("tiny")
        began = time.monotonic()
        jobs = [make_job(f"j{number}") for number in range(MANY)]
        clients = await asyncio.gather(*(Client(queue, job).submit() for job in jobs))
        assert time.monotonic() - began < 5 * FAR_S
        await answer(server)
        await asyncio.gather(*(client.read_to(Kind.DONE) for client in clients))
        assert time.monotonic() - began < 10 * FAR_S
        for client in clients:
            client.close()
    sending.cancel()


async def test_new_requests_are_refused_together_when_redis_is_silent(
    real_redis: Redis, far: Relay, real_redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What reaches Redis later takes no effect."""
    monkeypatch.setattr("dispatcher.submission._IN_ALL_S", 0.5)
    async with over(far, real_redis_url) as queue:
        await queue.open("tiny")
        far.hold_replies()
        began = time.monotonic()
        asked = (Client(queue, make_job(f"j{number}")).submit() for number in range(MANY))
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert {type(one) for one in answers} == {RedisUnavailable}
        assert time.monotonic() - began < 2
        far.let_go()

        async def nothing_is_left() -> bool:
            return not await real_redis.zcard(KEYS.named("queue"))

        await until(nothing_is_left)
