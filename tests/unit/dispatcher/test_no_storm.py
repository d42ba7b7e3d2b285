"""Many jobs at once cost few calls: what is lost or left together makes no storm."""

import asyncio
from pathlib import Path

from redis.asyncio import Redis

from dispatcher.connection import open_redis
from dispatcher.queue import Queue
from testing.ends import KEYS, Client, make_job, make_settings, over
from testing.relay import relay_to
from testing.waiting import until

MANY = 150
SLOW_S = 0.2
_OTHERS = 60  # besides them there are the heartbeat, the reaper and the positions


async def calls(redis: Redis) -> int:
    """Of scripts, since the last reset."""
    statistics = await redis.info("commandstats")
    return int(statistics.get("cmdstat_evalsha", {}).get("calls", 0))


async def fill(queue: Queue) -> list[Client]:
    jobs = [make_job(f"j{number}") for number in range(MANY)]
    return list(await asyncio.gather(*(Client(queue, job).submit() for job in jobs)))


async def until_queued(redis: Redis, number: int) -> None:
    async def queued() -> bool:
        return bool(await redis.zcard(KEYS.named("queue")) == number)

    await until(queued)


async def test_clients_that_leave_together_are_cancelled_in_few_calls(real_redis_url: str) -> None:
    redis = open_redis(real_redis_url)
    await redis.flushall()
    async with Queue(make_settings(real_redis_url), 2**20) as queue:
        clients = await fill(queue)
        await redis.config_resetstat()
        for client in clients:
            client.close()
        await until_queued(redis, 0)
        assert await calls(redis) < 20
    await redis.flushall()
    await redis.aclose()


async def test_jobs_that_redis_forgot_are_submitted_again_once_each(
    real_redis_url: str, tmp_path: Path
) -> None:
    """It takes longer than several heartbeats, each of which finds the rest forgotten."""
    redis = open_redis(real_redis_url)
    await redis.flushall()
    async with (
        relay_to(real_redis_url, tmp_path / "relay.sock") as relay,
        over(relay, real_redis_url) as queue,
    ):
        clients = await fill(queue)
        relay.delay_s = SLOW_S
        await redis.config_resetstat()
        await redis.flushall()
        await until_queued(redis, MANY)
        assert await calls(redis) <= _OTHERS
        assert int(await redis.hget(KEYS.named("counters"), "enqueued") or 0) == MANY
        assert {client.reply.generation for client in clients} == {2}
        relay.delay_s = 0
    await redis.flushall()
    await redis.aclose()


async def test_heartbeat_waits_behind_no_request(real_redis_url: str, tmp_path: Path) -> None:
    redis = open_redis(real_redis_url)
    await redis.flushall()
    async with (
        relay_to(real_redis_url, tmp_path / "relay.sock") as relay,
        Queue(make_settings(real_redis_url), 2**20) as queue,
    ):
        await queue.redis.aclose()
        queue.redis = open_redis(relay.url)
        client = await Client(queue, make_job()).submit()
        relay.hold_replies()
        asking = asyncio.create_task(Client(queue, make_job("j2")).submit())
        await relay.held.wait()
        before = await lease_end(redis, queue.api)

        async def renewed() -> bool:
            return await lease_end(redis, queue.api) > before

        await until(renewed)
        assert not asking.done()
        relay.let_go()
        (await asking).close()
        client.close()
    await redis.flushall()
    await redis.aclose()


async def lease_end(redis: Redis, api: str) -> float:
    return float(await redis.zscore(KEYS.named("apis"), api) or 0)
