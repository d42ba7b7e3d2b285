"""A bridge's session: its calls survive lost replies, and it hears what concerns it."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from dispatcher.bells import Call, wait_for_call
from dispatcher.commands import Commands, Offer
from dispatcher.connection import open_redis
from dispatcher.cost import Usage
from dispatcher.errors import Fenced, RedisUnavailable
from dispatcher.frames import Frame, Kind
from dispatcher.job import Toll, Want
from dispatcher.worker import Taken, WorkerFacts, WorkerSession
from testing.desk import LEASE_MS, Desk
from testing.relay import Relay

FACTS = WorkerFacts("tiny", "http://127.0.0.1:8080", "healthy", 2048, "b1", "f1")
DONE = [Frame(Kind.DONE, 0)]


@pytest.fixture
async def session(desk: Desk, relayed: Redis) -> WorkerSession:
    """Registered as `w` with two slots."""
    session = WorkerSession("w", Commands(relayed, desk.keys), LEASE_MS / 1000)
    await session.register(2, True, FACTS)
    return session


@pytest.fixture
async def waiter(redis_url: str) -> AsyncIterator[Redis]:
    client = open_redis(redis_url)
    yield client
    await client.aclose()


async def test_claim_says_what_to_run(desk: Desk, session: WorkerSession) -> None:
    await desk.enqueue("j1", body=b"ask")
    taken = await session.claim(Offer(2))
    (claim,) = taken.claims
    assert (taken.free, claim.job, claim.api, claim.wants) == (
        1,
        "j1",
        "a",
        frozenset({Want.STREAM}),
    )
    assert 119 < claim.left_s <= 120
    assert await session.body(claim) == b"ask"


async def test_body_of_an_ended_job_is_none(desk: Desk, session: WorkerSession) -> None:
    await desk.enqueue("j1", body=b"x" * 40_000)
    (claim,) = (await session.claim(Offer(1))).claims
    assert await session.body(claim) == b"x" * 40_000
    await session.finish(claim.attempt_id, "done", DONE, Usage(3, 4))
    assert await session.body(claim) is None
    assert (await desk.job("j1"))["prompt_tokens"] == "3"


async def test_model_is_announced(desk: Desk, session: WorkerSession) -> None:
    assert await desk.redis.zrange("llamaq:models", 0, -1) == [b"tiny"]


async def test_registration_whose_reply_was_lost_is_repeated(
    desk: Desk, relay: Relay, relayed: Redis, session: WorkerSession
) -> None:
    await desk.enqueue("j1")
    session.end_epoch()
    relay.cut_next_reply()
    with pytest.raises(RedisUnavailable):
        await session.register(2, True, FACTS)
    await session.register(2, True, FACTS)
    assert len((await session.claim(Offer(1))).claims) == 1


async def test_claim_whose_reply_was_lost_finds_its_jobs_again(
    desk: Desk, relay: Relay, session: WorkerSession
) -> None:
    await session.claim(Offer(0))
    await desk.enqueue("j1", "j2", "j3")
    relay.cut_next_reply()
    with pytest.raises(RedisUnavailable):
        await session.claim(Offer(2))
    claims = (await session.claim(Offer(2))).claims
    assert [claim.attempt_id for claim in claims] == await desk.running()
    assert [claim.job for claim in claims] == ["j1", "j2"]


async def test_claim_after_an_answer_is_a_new_one(desk: Desk, session: WorkerSession) -> None:
    await desk.enqueue("j1", "j2")
    first, second = (await session.claim(Offer(1))).claims, (await session.claim(Offer(1))).claims
    assert [claim.job for claim in first + second] == ["j1", "j2"]


async def test_finish_waits_out_a_lost_reply(
    desk: Desk, relay: Relay, session: WorkerSession
) -> None:
    await desk.enqueue("j1")
    (claim,) = (await session.claim(Offer(1))).claims
    with pytest.raises(Fenced):
        await session.finish("j0:n-1", "done", DONE)  # loads the script
    relay.cut_next_reply()
    await session.finish(claim.attempt_id, "done", DONE)
    assert await desk.heard() == [(claim.attempt_id, "done")]


async def test_release_waits_out_a_lost_reply(
    desk: Desk, relay: Relay, session: WorkerSession
) -> None:
    await desk.enqueue("j1")
    (claim,) = (await session.claim(Offer(1))).claims
    await session.release("j0:n-1", toll=Toll.ATTEMPT, error=b"{}")  # loads the script
    relay.cut_next_reply()
    await session.release(claim.attempt_id, toll=Toll.ATTEMPT, error=b"{}")
    assert await desk.heard() == [(claim.attempt_id, "revoked")]
    assert await desk.queue() == ["j1"]


async def test_who_is_suspected_is_logged_once(
    desk: Desk, session: WorkerSession, caplog: pytest.LogCaptureFixture
) -> None:
    await desk.join("v", 1)
    await desk.enqueue("j1", tenant="bad", attempts=9, crashes=9)
    await desk.release(await desk.take("v"), "v", crashed=1)
    await desk.renew(worker="v", slots=1, accepting=0)
    for _ in range(2):
        (claim,) = (await session.claim(Offer(1))).claims
        verdict = await session.release(claim.attempt_id, toll=Toll.CRASH, error=b"{}")
        assert verdict == "revoked"
    assert caplog.text.count("suspect=bad|-: servers crashed while they had its requests") == 1


async def test_renewal_names_foreign_and_unwanted(desk: Desk, session: WorkerSession) -> None:
    await desk.enqueue("j1")
    (claim,) = (await session.claim(Offer(1))).claims
    await desk.cancel("j1")
    renewal = await session.renew(2, True, FACTS, {claim.attempt_id: 0, "j9:n-1": 0})
    assert (renewal.foreign, renewal.unwanted) == (["j9:n-1"], [claim.attempt_id])


async def test_who_was_reaped_is_fenced_until_it_joins_anew(
    desk: Desk, session: WorkerSession
) -> None:
    await desk.enqueue("j1")
    await desk.reap_after(LEASE_MS + 1000)
    with pytest.raises(Fenced):
        await session.claim(Offer(1))
    with pytest.raises(Fenced):
        await session.renew(2, True, FACTS, {})
    old = session.identity
    session.end_epoch()
    await session.register(2, True, FACTS)
    assert session.identity != old
    assert len((await session.claim(Offer(1))).claims) == 1


async def test_claim_that_waited_while_its_worker_joined_again_is_of_the_new_epoch(
    desk: Desk, relay: Relay, session: WorkerSession
) -> None:
    """Else its refusal would end the new epoch too, and give back what that has claimed."""
    await desk.enqueue("j1")
    relay.hold_replies()
    session.end_epoch()
    joining = asyncio.create_task(session.register(2, True, FACTS))
    await relay.held.wait()
    claiming = asyncio.create_task(session.claim(Offer(1)))
    await asyncio.sleep(0)
    relay.let_go()
    await joining
    assert len((await claiming).claims) == 1


async def test_who_left_gets_nothing_and_is_forgotten_with_the_next_tick(
    desk: Desk, session: WorkerSession
) -> None:
    await desk.enqueue("j1")
    await session.leave(FACTS)
    assert await session.claim(Offer(1)) == Taken(0, [], None)
    await session.leave(FACTS)
    await desk.reap_after(1000)
    assert await desk.redis.zcard(desk.keys.named("workers")) == 0


async def test_worker_hears_that_a_job_is_cancelled(
    desk: Desk, session: WorkerSession, waiter: Redis
) -> None:
    await desk.enqueue("j1")
    (claim,) = (await session.claim(Offer(1))).claims
    await desk.rung("w")
    waiting = asyncio.create_task(wait_for_call(waiter, desk.keys, "w", has_room=False))
    await desk.cancel("j1")
    assert await waiting == Call(cancel=claim.attempt_id)


async def test_worker_with_room_takes_the_shared_ring(
    desk: Desk, session: WorkerSession, waiter: Redis
) -> None:
    await desk.rung("w")
    await desk.enqueue("j1")
    assert await wait_for_call(waiter, desk.keys, "w", has_room=True) == Call(for_all=True)
    assert not await desk.rung()


async def test_worker_without_room_leaves_the_shared_ring_to_others(
    desk: Desk, session: WorkerSession, waiter: Redis
) -> None:
    await desk.rung("w")
    await desk.enqueue("j1")
    call = await wait_for_call(waiter, desk.keys, "w", has_room=False, longest_s=0.05)
    assert call == Call()
    assert await desk.rung()


async def test_cancels_come_before_rings(desk: Desk, session: WorkerSession, waiter: Redis) -> None:
    await desk.enqueue("j1", "j2")
    (claim,) = (await session.claim(Offer(1))).claims
    await desk.cancel("j1")
    assert await wait_for_call(waiter, desk.keys, "w", has_room=True) == Call(
        cancel=claim.attempt_id
    )


async def test_full_worker_hears_that_it_has_room_again(
    desk: Desk, session: WorkerSession, waiter: Redis
) -> None:
    """Nothing waits, so it need not claim."""
    await desk.enqueue("j1", "j2")
    claim, _ = (await session.claim(Offer(2))).claims
    await desk.rung("w")
    await session.finish(claim.attempt_id, "done", [Frame(Kind.DONE, 0)], offer=Offer(1))
    assert await wait_for_call(waiter, desk.keys, "w", has_room=False) == Call(only_room=True)


async def test_full_worker_claims_for_what_its_finish_has_left(
    desk: Desk, session: WorkerSession, waiter: Redis
) -> None:
    await desk.enqueue("j1", "j2", "j3")
    claim, _ = (await session.claim(Offer(2))).claims
    await desk.rung("w")
    await session.finish(claim.attempt_id, "done", [Frame(Kind.DONE, 0)], offer=Offer(0))
    assert await wait_for_call(waiter, desk.keys, "w", has_room=False) == Call()
