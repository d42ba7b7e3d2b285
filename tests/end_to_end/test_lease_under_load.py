"""The lease of an API that lives ends again and again under load; its clients see nothing of it."""

import asyncio
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from redis.asyncio import Redis

from bench.standin_server import MODEL
from dispatcher.connection import open_redis
from dispatcher.keys import Keys
from testing.relay import Relay, relay_to
from tests.burst.fleet import Fleet, fleet
from tests.burst.streams import Verdict, stream_all

STREAMS = 100
TOKENS = 80
TOKENS_PER_SECOND = 20
ENDS = 6
SLOW_S = 0.01  # each call of the API takes longer: what it submits stands in a line
KEYS = Keys(MODEL)


async def end_lease(redis: Redis) -> None:
    """What lua/reap.lua does to an API that it takes for dead."""
    for api in await redis.zrange(KEYS.named("apis"), 0, -1):
        name = api.decode()
        pipe = redis.pipeline(transaction=True)
        pipe.zrem(KEYS.named("apis"), name)
        pipe.delete(KEYS.named("replies", name), KEYS.named("api", name))
        await pipe.execute()


async def end_leases(redis_url: str) -> None:
    redis = open_redis(redis_url)
    for _ in range(ENDS):
        await asyncio.sleep(0.7)  # between two heartbeats, and during the answers
        await end_lease(redis)
    await redis.aclose()


async def start(stack: ExitStack, folder: Path, relay: Relay) -> Fleet:
    # In a thread, since the API comes up over the relay.
    of = fleet(folder, 2, STREAMS, TOKENS_PER_SECOND, relay.url)
    return await asyncio.to_thread(stack.enter_context, of)


async def test_every_byte_is_right_though_the_lease_ends_again_and_again(tmp_path: Path) -> None:
    redis_url = f"unix://{tmp_path}/valkey.sock"
    async with relay_to(redis_url, tmp_path / "relay.sock") as relay:
        with ExitStack() as stack:
            of = await start(stack, tmp_path, relay)
            relay.delay_s = SLOW_S
            verdicts, _ = await asyncio.gather(
                stream_all(of.url, range(1, STREAMS + 1), TOKENS), end_leases(of.redis_url)
            )
    log = (tmp_path / "api.log").read_text()
    assert Counter(verdicts) == {Verdict.WHOLE: STREAMS}
    assert log.count("forgotten by Redis") > STREAMS / 2  # else nothing was tried
