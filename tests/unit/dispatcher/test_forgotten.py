"""What Redis has forgotten is queued again by its api; what a client has seen is not done twice."""

from dataclasses import replace

import pytest
from redis.asyncio import Redis

from dispatcher.continuation import Continuation
from dispatcher.frames import Kind
from dispatcher.job import Claim, Toll, Want
from dispatcher.needs import Needs
from dispatcher.queue import Queue
from testing.ends import (
    DONE,
    FACTS,
    REST,
    Client,
    Server,
    lose,
    make_job,
    over,
    see_a_part,
)
from testing.relay import Relay
from testing.waiting import until

# On the fake their scripts take ten times as long.
pytestmark = pytest.mark.parametrize("redis_url", ["real"], indirect=True)


async def test_job_that_redis_forgot_is_queued_again_and_completes(
    queue: Queue, server: Server, redis: Redis
) -> None:
    client = await Client(queue, make_job()).submit()
    claim = await server.take()
    server.say(claim, 0, b"lost", visible=False)
    await client.read_to(Kind.CHUNK)
    await redis.flushall()
    await server.join()
    again = await server.take()
    assert (again.job, again.attempt_id == claim.attempt_id) == ("j1", False)
    assert await server.session.body(again) == b'{"ask":1}'
    server.say(again, 0, b"whole")
    await server.finish(again, 1)
    assert await client.read_to(Kind.DONE) == [
        ("chunk", b"lost"),
        ("revoked", b""),
        ("chunk", b"whole"),
        ("done", DONE),
    ]
    client.close()


async def forget_job(redis: Redis, server: Server, relay: Relay, queue: Queue) -> None:
    """The answer to the heartbeat has come that says so; that to what follows it is held back."""
    await server.take()
    await queue.lifeline.link.call("PING")  # answered after what its first tick has sent
    await redis.flushall()
    await server.join()
    relay.hold_replies()

    async def is_queued_again() -> bool:
        if await redis.keys("*:job:j1"):
            return True
        if relay.held.is_set():  # the answer to the heartbeat, or another of the same moment
            relay.let_go()
            relay.hold_replies()
        return False

    await until(is_queued_again)


async def test_worker_may_answer_a_forgotten_job_before_redis_has_answered_the_api(
    redis: Redis, relay: Relay, redis_url: str, server: Server
) -> None:
    async with over(relay, redis_url) as queue:
        client = await Client(queue, make_job()).submit()
        await forget_job(redis, server, relay, queue)
        again = await server.take()
        server.say(again, 0, b"early")
        await client.read_to(Kind.CHUNK)
        relay.let_go()
        await queue.redis.link.call("PING")  # answered after the enqueue
        server.say(again, 1, b"late")
        await server.finish(again, 2)
        kinds = [kind for kind, _ in await client.read_to(Kind.DONE)]
        assert kinds == ["chunk", "chunk", "done"]
        client.close()


async def test_forgotten_job_is_queued_again_until_redis_says_that_it_has_it(
    redis: Redis, relay: Relay, redis_url: str, server: Server
) -> None:
    async with over(relay, redis_url) as queue:
        client = await Client(queue, make_job()).submit()
        await forget_job(redis, server, relay, queue)
        await relay.held.wait()
        relay.cut_next_reply(6)  # to the enqueue, and to what comes after it
        relay.let_go()
        again = await server.take()
        server.say(again, 0, b"whole")
        await server.finish(again, 1)
        assert await client.read_to(Kind.DONE)
        client.close()


async def go_on(queue: Queue, client: Client, server: Server, rest: Continuation = REST) -> Claim:
    """Has a job that was lost go on, and claims it."""
    client.frames.clear()
    queue.resume(client.job, rest)
    again = await server.take()
    assert again.needs == Needs(fingerprint=FACTS.fingerprint)

    # The answer to the resume may come after the claim.
    await until(lambda: client.reply.needs == again.needs)
    assert await server.session.body(again) == REST.body
    return again


async def test_stream_whose_job_redis_forgot_goes_on_with_what_is_left(
    queue: Queue, server: Server, redis: Redis
) -> None:
    client = await Client(queue, make_job("j1", "ann", Want.STREAM)).submit()
    await see_a_part(server, client)
    for _ in range(2):  # what is left is forgotten too
        await redis.flushall()
        await server.join()
        await client.read_to(Kind.LOST)
        again = await go_on(queue, client, server)
        server.start(again)
        server.say(again, 1, b"more")
        await client.read_to(Kind.CHUNK)
    server.say(again, 2, b"the rest")
    await server.finish(again, 3)
    assert [kind for kind, _ in await client.read_to(Kind.DONE)][-2:] == ["chunk", "done"]
    client.close()


async def test_what_is_left_of_a_forgotten_job_is_lost_again_before_it_has_said_anything(
    queue: Queue, server: Server, redis: Redis
) -> None:
    client = await Client(queue, make_job("j1", "ann", Want.STREAM)).submit()
    await see_a_part(server, client)
    await redis.flushall()
    await server.join()
    await client.read_to(Kind.LOST)
    again = await go_on(queue, client, server, replace(REST, seen_tokens=0))
    await server.session.release(again.attempt_id, toll=Toll.ATTEMPT, error=b"{}")
    assert [kind for kind, _ in await client.read_to(Kind.LOST)] == ["lost"]
    client.close()


async def test_what_is_left_is_queued_again_when_redis_forgets_it_while_it_waits(
    queue: Queue, server: Server, redis: Redis
) -> None:
    client = await Client(queue, make_job("j1", "ann", Want.STREAM)).submit()
    await lose(server, client)
    client.frames.clear()
    queue.resume(client.job, REST)
    await until(lambda: not client.reply.lost)
    await redis.flushall()
    await server.join()
    again = await server.take()
    assert await server.session.body(again) == REST.body
    await server.finish(again, 0)
    assert [kind for kind, _ in await client.read_to(Kind.DONE)] == ["done"]
    client.close()


async def copy_of(redis: Redis) -> dict[bytes, bytes]:
    return {key: await redis.dump(key) for key in await redis.keys()}


async def restore(redis: Redis, copy: dict[bytes, bytes]) -> None:
    await redis.flushall()
    for key, value in copy.items():
        await redis.restore(key, 60_000, value)


async def test_stream_goes_on_whose_claim_redis_forgot_and_began_anew(
    queue: Queue, server: Server, redis: Redis
) -> None:
    client = await Client(queue, make_job("j1", "ann", Want.STREAM)).submit()
    before_the_claim = await copy_of(redis)
    first = await see_a_part(server, client)
    await restore(redis, before_the_claim)
    newer = await server.take()
    assert (newer.job, newer.attempt_id != first.attempt_id) == ("j1", True)
    server.start(newer)
    server.say(newer, 1, b"from the beginning")
    await client.read_to(Kind.LOST)
    again = await go_on(queue, client, server)
    held = {newer.attempt_id: 0, again.attempt_id: 0}
    assert (await server.session.renew(2, True, FACTS, held)).foreign == [newer.attempt_id]
    server.say(again, 0, b"the rest")
    await server.finish(again, 1)
    assert [kind for kind, _ in await client.read_to(Kind.DONE)] == ["chunk", "done"]
    client.close()


async def test_answer_goes_on_of_which_redis_forgot_a_part(queue: Queue, server: Server) -> None:
    client = await Client(queue, make_job("j1", "ann", Want.STREAM)).submit()
    claim = await see_a_part(server, client)
    server.say(claim, 3, b"one is missing")
    await client.read_to(Kind.LOST)
    again = await go_on(queue, client, server)
    held = {claim.attempt_id: 0, again.attempt_id: 0}
    assert (await server.session.renew(2, True, FACTS, held)).foreign == [claim.attempt_id]
    await server.finish(again, 0)
    await client.read_to(Kind.DONE)
    client.close()
