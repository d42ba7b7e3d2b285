"""Thousands at a time: no script unpacks more values than Lua takes, nor does all at once."""

from collections.abc import Iterator

from redis.asyncio import Redis

from dispatcher.constants import MOST_RECOVERED
from dispatcher.frames import unpack
from testing.desk import LEASE_MS, Desk

MANY = 6000


async def hold_many(redis: Redis) -> tuple[Desk, list[str]]:
    """A worker that has many attempts, of jobs that Redis has lost."""
    desk = Desk(redis)
    await desk.heartbeat("a")
    await desk.join(slots=MANY)
    attempt_ids = [f"j{number}:n-1" for number in range(MANY)]
    await redis.zadd(desk.keys.named("running", "w"), dict.fromkeys(attempt_ids, 1))
    await redis.expire(desk.keys.named("running", "w"), 600)
    return desk, attempt_ids


def values(rows: list[tuple[bytes, dict[bytes, bytes]]]) -> Iterator[bytes]:
    for _, fields in rows:
        for attempt_id, value in fields.items():
            if attempt_id != b"hello":
                assert unpack(value)
                yield attempt_id


async def test_frames_of_many_jobs_are_passed_on_at_once(real_redis: Redis) -> None:
    desk, attempt_ids = await hold_many(real_redis)
    assert await desk.emit(*attempt_ids) == [b"OK"]
    rows = await real_redis.xrange(desk.keys.named("replies", "a"))
    assert sorted(values(rows)) == sorted(attempt_id.encode() for attempt_id in attempt_ids)


async def test_many_held_attempts_are_renewed(real_redis: Redis) -> None:
    desk, attempt_ids = await hold_many(real_redis)
    verdict, foreign, unwanted, orphaned = await desk.renew(*attempt_ids, slots=MANY)
    held_in_vain = len(unwanted) + len(orphaned)
    assert (verdict, foreign, held_in_vain) == (b"OK", [], MANY)


async def test_many_that_are_not_held_are_given_back_in_parts(real_redis: Redis) -> None:
    desk, _ = await hold_many(real_redis)
    for left in (MANY - MOST_RECOVERED, MANY - 2 * MOST_RECOVERED):
        await desk.renew(slots=MANY)
        assert len(await desk.running()) == left


async def test_dead_worker_with_many_attempts_leaves_when_nothing_of_it_is_left(
    real_redis: Redis,
) -> None:
    desk, _ = await hold_many(real_redis)
    workers = desk.keys.named("workers")
    await desk.reap()
    await desk.redis.zadd(workers, {"w": 1})
    desk.later(1000)
    ticks = 0
    while await desk.redis.zcard(workers):
        ticks += 1
        left = len(await desk.running())
        await desk.heartbeat("a")
        assert (await desk.commands.reap(LEASE_MS, 100))[0] == b"OK"  # without a pause
        assert len(await desk.running()) == max(0, left - MOST_RECOVERED)
        assert await desk.renew() == [b"FENCED"]
    assert ticks == MANY // MOST_RECOVERED + 1


async def test_workers_that_die_together_are_recovered_in_parts(real_redis: Redis) -> None:
    desk = Desk(real_redis)
    for worker, attempts in (("v", 40), ("w", 100)):
        await desk.join(worker, slots=attempts)
        attempt_ids = {f"{worker}{number}:n-1": 1 for number in range(attempts)}
        await real_redis.zadd(desk.keys.named("running", worker), attempt_ids)
        await real_redis.expire(desk.keys.named("running", worker), 600)
    await desk.heartbeat("a")
    given_back = []
    for ms in (LEASE_MS, 1000, 1000):
        _, _, recovered, *_ = await desk.reap_after(ms)
        given_back.append(recovered)
    assert given_back == [MOST_RECOVERED, MOST_RECOVERED, 140 - 2 * MOST_RECOVERED]
    assert await real_redis.zcard(desk.keys.named("workers")) == 0


async def test_registration_gives_many_back_in_parts(real_redis: Redis) -> None:
    desk, _ = await hold_many(real_redis)
    for left in range(MANY - MOST_RECOVERED, -1, -MOST_RECOVERED):
        assert await desk.join(slots=MANY, epoch="new") == [b"AGAIN", MOST_RECOVERED]
        assert len(await desk.running()) == left
    assert await desk.join(slots=MANY, epoch="new") == [b"OK", MANY % MOST_RECOVERED]


async def test_heartbeat_names_many_unknown_jobs(real_redis: Redis) -> None:
    desk = Desk(real_redis)
    assert len(await desk.heartbeat("a", *(f"j{number}" for number in range(MANY)))) == 2 + MANY
    assert len(await desk.commands.position(f"j{n}" for n in range(MANY))) == 2 + MANY


async def test_claim_takes_64_and_calls_for_the_rest(desk: Desk) -> None:
    await desk.join(slots=200)
    await desk.enqueue(*(f"j{number}" for number in range(70)))
    await desk.rung()
    _, free, _, *rows = await desk.claim_raw(most=200)
    assert (free, len(rows), await desk.rung()) == (136, 64, True)
    assert len((await desk.claim(most=200))[1]) == 6


async def test_conversation_of_many_beginnings_is_queued(desk: Desk) -> None:
    prefixes = tuple(f"p{number}" for number in range(MANY))
    assert (await desk.enqueue("j1", prefixes=prefixes))[0] == b"OK"


async def test_lease_of_a_dead_worker_does_not_bring_it_back(desk: Desk) -> None:
    """Its last attempts were given back when its lease was over."""
    await desk.join()
    await desk.enqueue("j1")
    await desk.take()
    await desk.reap_after(LEASE_MS)
    assert not await desk.redis.exists(desk.keys.named("worker", "w"))
