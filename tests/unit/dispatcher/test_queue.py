"""The queue's two ends in one process: what is submitted is run, and its answer comes back."""

import asyncio
import json
from dataclasses import replace
from functools import partial

import pytest
from redis.asyncio import Redis

from dispatcher.bells import Call, wait_for_call
from dispatcher.connection import open_redis
from dispatcher.errors import QueueFull, RedisUnavailable
from dispatcher.frames import Kind
from dispatcher.job import Toll, Want
from dispatcher.needs import Needs
from dispatcher.queue import Queue
from testing.ends import (
    DONE,
    FACTS,
    KEYS,
    REST,
    Client,
    Server,
    lose,
    make_job,
    make_settings,
    over,
)
from testing.relay import Relay
from testing.waiting import until


async def is_cancelled(redis: Redis) -> bool:
    return await state(redis, "j1") == "cancelled"


async def worker_is_told(redis: Redis) -> bool:
    """Whether the worker will hear that its job is cancelled."""
    return bool(await redis.zcard(KEYS.named("cancels", "w")))


async def state(redis: Redis, job: str) -> str:
    return str(await redis.hget(KEYS.named("job", job), "state") or b"", "ascii")


async def test_answer_comes_back_in_order(queue: Queue, server: Server) -> None:
    client = await Client(queue, make_job()).submit()
    claim = await server.take()
    assert await server.session.body(claim) == b'{"ask":1}'
    words = [b"word %d" % number for number in range(30)]
    for seq, word in enumerate(words):
        server.say(claim, seq, word)
        await asyncio.sleep(0)
    await server.finish(claim, len(words))
    expected = [("chunk", word) for word in words]
    assert await client.read_to(Kind.DONE) == [*expected, ("done", DONE)]
    client.close()


async def test_answer_that_is_no_stream_can_not_be_read_too_slowly(
    queue: Queue, server: Server
) -> None:
    client = await Client(queue, make_job()).submit()
    claim = await server.take()
    for seq in range(3):
        server.say(claim, seq, b"x" * 2**19)
    await server.finish(claim, 3)
    assert len(await client.read_to(Kind.DONE)) == 4
    client.close()


async def test_claim_has_the_path_of_its_job(queue: Queue, server: Server) -> None:
    client = await Client(queue, replace(make_job(), path="/v1/embeddings")).submit()
    assert (await server.take()).path == "/v1/embeddings"
    client.close()


async def test_many_jobs_at_once_get_their_own_answers(queue: Queue, server: Server) -> None:
    await server.join(slots=20)
    jobs = [make_job(f"j{number}", f"t{number % 3}") for number in range(20)]
    clients = [await Client(queue, job).submit() for job in jobs]
    for _ in jobs:
        claim = await server.take()
        server.say(claim, 0, claim.job.encode())
        await server.finish(claim, 1)
    for client in clients:
        assert (await client.read_to(Kind.DONE))[0] == ("chunk", client.job.id.encode())
        client.close()


async def test_bridge_that_waits_is_called(queue: Queue, server: Server, redis_url: str) -> None:
    waiter = open_redis(redis_url)
    await wait_for_call(waiter, KEYS, "w", has_room=True)  # the ring of its registration
    waiting = asyncio.create_task(wait_for_call(waiter, KEYS, "w", has_room=True))
    client = await Client(queue, make_job()).submit()
    assert await waiting == Call(for_all=True)
    client.close()
    await waiter.aclose()


async def test_released_job_restarts_elsewhere(queue: Queue, server: Server) -> None:
    client = await Client(queue, make_job()).submit()
    first = await server.take()
    server.say(first, 0, b"half", visible=False)
    await client.read_to(Kind.CHUNK)
    await server.session.release(first.attempt_id, toll=Toll.ATTEMPT, error=b"{}")
    second = await server.take()
    server.say(second, 0, b"whole", visible=False)
    await server.finish(second, 1)
    kinds = [kind for kind, _ in await client.read_to(Kind.DONE)]
    assert kinds == ["chunk", "revoked", "chunk", "done"]
    client.close()


async def test_full_queue_is_refused(redis: Redis, redis_url: str) -> None:
    async with Queue(make_settings(redis_url, max_queue_jobs=1), 2**20) as queue:
        client = await Client(queue, make_job("j1")).submit()
        with pytest.raises(QueueFull, match="1 requests wait for the model 'tiny'"):
            await queue.submit(make_job("j2"), asyncio.Event())
        client.close()


async def test_submit_whose_reply_was_lost_queues_one_job(redis: Redis, relay: Relay) -> None:
    async with Queue(make_settings(relay.url), 2**20) as queue:
        first = await Client(queue, make_job("j1")).submit()
        relay.cut_next_reply()
        second = await Client(queue, make_job("j2")).submit()
        assert await redis.zcard(KEYS.named("queue")) == 2
        first.close()
        second.close()


async def test_closed_job_is_cancelled_while_it_waits(queue: Queue, redis: Redis) -> None:
    client = await Client(queue, make_job()).submit()
    client.close()

    await until(partial(is_cancelled, redis))
    assert await redis.zcard(KEYS.named("queue")) == 0


async def test_closed_job_is_cancelled_at_its_worker(
    queue: Queue, server: Server, redis: Redis
) -> None:
    client = await Client(queue, make_job()).submit()
    claim = await server.take()
    client.close()

    await until(partial(worker_is_told, redis))
    assert (await server.session.renew(2, True, FACTS, {claim.attempt_id: 0})).unwanted == [
        claim.attempt_id
    ]


async def test_answered_job_is_not_cancelled(queue: Queue, server: Server, redis: Redis) -> None:
    client = await Client(queue, make_job()).submit()
    claim = await server.take()
    await server.finish(claim, 0)
    await client.read_to(Kind.DONE)
    client.close()
    await Client(queue, make_job("j2")).submit()
    assert await state(redis, "j1") == "done"
    assert not await redis.exists(KEYS.named("cancels", "w"))


async def test_lost_job_goes_on_with_what_is_left(queue: Queue, server: Server) -> None:
    client = await Client(queue, make_job()).submit()
    lost = await lose(server, client)
    queue.resume(client.job, REST)
    again = await server.take()
    assert (again.job, again.attempt_id != lost.attempt_id) == ("j1", True)
    assert again.needs == client.reply.needs == Needs(fingerprint=FACTS.fingerprint)
    assert await server.session.body(again) == REST.body
    server.say(again, 0, b"the rest")
    await server.finish(again, 1)
    frames = await client.read_to(Kind.DONE)
    assert [kind for kind, _ in frames] == ["started", "chunk", "lost", "chunk", "done"]
    assert frames[3][1] == b"the rest"
    client.close()


async def test_lost_job_that_failed_often_enough_fails(
    redis_url: str, redis: Redis, server: Server
) -> None:
    async with Queue(make_settings(redis_url, max_attempts=1), 2**20) as queue:
        client = await Client(queue, make_job()).submit()
        await lose(server, client)
        queue.resume(client.job, REST)
        _, last = (await client.read_to(Kind.FAILED))[-1]
        assert json.loads(last)["code"] == "worker_failed"
        assert "1 have failed" in json.loads(last)["message"]
        client.close()


async def test_worker_that_has_not_told_its_build_is_an_error(queue: Queue, server: Server) -> None:
    client = await Client(queue, make_job("j1", "ann", Want.STREAM)).submit()
    claim = await server.take()
    server.say(claim, 0, b"a part")
    await client.read_to(Kind.CHUNK)
    await server.session.release(claim.attempt_id, toll=Toll.ATTEMPT, error=b"{}")
    await client.read_to(Kind.LOST)
    queue.resume(client.job, REST)
    _, last = (await client.read_to(Kind.FAILED))[-1]
    assert "has not told its build" in json.loads(last)["message"]
    client.close()


async def test_lost_job_that_nobody_waits_for_does_not_go_on(
    queue: Queue, server: Server, redis: Redis
) -> None:
    client = await Client(queue, make_job()).submit()
    await lose(server, client)
    client.close()
    queue.resume(client.job, REST)

    await until(partial(is_cancelled, redis))


async def test_lost_job_goes_on_over_a_cut_connection(
    redis: Redis, relay: Relay, redis_url: str, server: Server
) -> None:
    async with over(relay, redis_url) as queue:
        client = await Client(queue, make_job()).submit()
        await lose(server, client)
        relay.cut_next_reply()
        queue.resume(client.job, REST)
        again = await server.take()
        assert await server.session.body(again) == REST.body
        client.close()


async def test_slow_reader_fails_and_its_job_is_cancelled(
    redis: Redis, redis_url: str, server: Server
) -> None:
    async with Queue(make_settings(redis_url), 1000) as queue:
        client = await Client(queue, replace(make_job(), wants=frozenset({Want.STREAM}))).submit()
        claim = await server.take()
        for seq in range(3):
            server.say(claim, seq, b"x" * 400)

        await until(lambda: client.reply.ended)
        _, last = (await client.read_to(Kind.FAILED))[-1]
        assert json.loads(last)["code"] == "slow_client"
        client.close()

        await until(partial(worker_is_told, redis))


async def test_without_redis_nothing_is_accepted(redis_url: str) -> None:
    async with Queue(make_settings("redis://127.0.0.1:1"), 2**20) as queue:
        with pytest.raises(RedisUnavailable):
            await queue.submit(make_job(), asyncio.Event())
