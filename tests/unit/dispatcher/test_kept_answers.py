"""Answers in Redis for whoever asks again with the same key: who runs, who waits, what is kept."""

import asyncio

import pytest
from redis.asyncio import Redis

from dispatcher.connection import LinkedRedis
from dispatcher.constants import KEPT_BESIDE_BYTES
from dispatcher.kept_answers import (
    LEASE_MS,
    WAITS_MS,
    Asker,
    Begun,
    Bounds,
    KeptAnswer,
    KeptAnswers,
    answer_name,
)
from testing.key_leaks import leaked_keys

DAY_S = 86_400
PREFIX = "llamaq:kept:{all}:"


def kept_in(
    redis: LinkedRedis, tenant_bytes: int = 2**20, all_bytes: int = 2**20, later_s: float = 0
) -> KeptAnswers:
    bounds = Bounds(DAY_S, tenant_bytes, all_bytes)
    return KeptAnswers(redis, redis, bounds, int(later_s * 1000))


def asker(number: int = 1, tenant: str = "ann", owner: str = "a1", asked: str = "f") -> Asker:
    return Asker(answer_name(tenant, "", f"key {number}"), asked, owner)


def an_answer(size: int = 5) -> KeptAnswer:
    return KeptAnswer({"status": 200}, b"x" * size)


async def keep(kept: KeptAnswers, who: Asker, size: int = 5) -> bool:
    assert await kept.begin(who) is Begun.RUN
    return await kept.keep(who, an_answer(size))


async def is_kept(kept: KeptAnswers, who: Asker) -> bool:
    return isinstance(await kept.begin(who), KeptAnswer)


async def books(redis: Redis) -> tuple[int, dict[bytes, float], int]:
    """The bytes of all, those of each tenant, and how many answers there are."""
    total = int(await redis.get(f"{PREFIX}total") or 0)
    of_each = dict(await redis.zrange(f"{PREFIX}bytes", 0, -1, withscores=True))
    return total, of_each, await redis.zcard(f"{PREFIX}until")


async def test_first_request_runs_and_others_wait_for_it(real_redis: LinkedRedis) -> None:
    kept = kept_in(real_redis)
    assert await kept.begin(asker()) is Begun.RUN
    assert await kept.begin(asker()) is Begun.RUN, "the reply to a call may be lost"
    assert await kept.begin(asker(owner="b1")) is Begun.RUNS
    assert await kept.begin(asker(owner="b1", asked="g")) is Begun.OTHER
    assert await kept.begin(asker(owner="b1", tenant="bob")) is Begun.RUN
    assert await kept.keep(asker(), an_answer())
    assert await kept.keep(asker(), an_answer()), "the reply to a call may be lost"
    assert await kept.begin(asker(owner="b1")) == an_answer()
    assert await kept.begin(asker(owner="b1", asked="g")) is Begun.OTHER
    assert await leaked_keys(real_redis) == []


async def test_end_users_of_a_delegate_have_keys_of_their_own() -> None:
    names = {answer_name(*who, "k") for who in [("ui", ""), ("ui", "ann"), ("ui", "bob")]}
    assert len(names) == 3
    assert answer_name("ui", "a", "bk") != answer_name("ui", "ab", "k")


async def test_key_of_an_owner_that_has_died_may_be_used_anew(real_redis: LinkedRedis) -> None:
    kept, key = kept_in(real_redis), f"{PREFIX}answer:{asker().name}"
    await kept.begin(asker())
    assert 0 < await real_redis.pttl(key) <= LEASE_MS
    await real_redis.pexpire(key, 20)
    await kept.renew([asker()])
    assert await real_redis.pttl(key) > LEASE_MS / 2
    await real_redis.pexpire(key, 20)
    await kept.renew([asker(owner="b1")])
    await asyncio.sleep(0.03)
    assert await kept.begin(asker(owner="b1")) is Begun.RUN
    assert not await kept.keep(asker(), an_answer()), "it is another one's now"
    assert await kept.keep(asker(owner="b1"), an_answer())


async def test_key_that_redis_has_lost_keeps_the_answer_all_the_same(
    real_redis: LinkedRedis,
) -> None:
    kept = kept_in(real_redis)
    await kept.begin(asker())
    await real_redis.flushall()
    await kept.renew([asker()])
    assert await kept.keep(asker(), an_answer())
    assert await is_kept(kept, asker(owner="b1"))


async def test_owner_hears_whether_somebody_waits_elsewhere(real_redis: LinkedRedis) -> None:
    kept = kept_in(real_redis)
    await kept.begin(asker())
    await kept.begin(asker(owner="b1"))
    assert not await kept.free(asker(), if_unwaited=True)
    assert await kept.free(asker(owner="b1")), "it never was that one's"
    assert await kept.begin(asker(owner="b1")) is Begun.RUNS
    assert await kept_in(real_redis, later_s=WAITS_MS / 1000 + 1).free(asker(), if_unwaited=True)
    assert await kept.begin(asker(owner="b1")) is Begun.RUN


async def test_oldest_answers_of_a_tenant_make_room_for_its_new_one(
    real_redis: LinkedRedis,
) -> None:
    room = 3 * (KEPT_BESIDE_BYTES + 100)
    assert await keep(kept_in(real_redis, tenant_bytes=room), asker(1, "bob"))
    for number in range(8):
        kept = kept_in(real_redis, tenant_bytes=room, later_s=number)
        assert await keep(kept, asker(number), size=50)
    found = [await is_kept(kept, asker(number, owner="b1")) for number in range(8)]
    assert found == [False] * 5 + [True] * 3
    assert await is_kept(kept, asker(1, "bob", owner="b1"))
    total, of_each, answers = await books(real_redis)
    assert (total, answers) == (sum(of_each.values()), 4)
    assert of_each[b"ann"] <= room


async def test_tenant_with_most_makes_room_where_all_have_too_much(real_redis: LinkedRedis) -> None:
    room = 5 * (KEPT_BESIDE_BYTES + 100)
    for number in range(4):
        kept = kept_in(real_redis, all_bytes=room, later_s=number)
        assert await keep(kept, asker(number))
    for number in range(2):
        assert await keep(kept, asker(number, "bob"))
    found = [await is_kept(kept, asker(number, owner="b1")) for number in range(4)]
    assert found == [False, True, True, True]
    found = [await is_kept(kept, asker(number, "bob", owner="b1")) for number in range(2)]
    assert found == [True, True]


async def test_answer_without_room_is_not_kept_and_takes_no_other_place(
    real_redis: LinkedRedis,
) -> None:
    kept = kept_in(real_redis, tenant_bytes=2000)
    assert not await keep(kept, asker(), size=2000)
    assert await books(real_redis) == (0, {}, 0)
    assert await kept.begin(asker(owner="b1")) is Begun.RUN


async def test_books_forget_what_is_over(real_redis: LinkedRedis) -> None:
    assert await keep(kept_in(real_redis), asker(1))
    later = kept_in(real_redis, later_s=DAY_S + 1)
    await real_redis.delete(f"{PREFIX}answer:{asker(1).name}")  # as it has gone by then
    assert await keep(later, asker(2, "bob"))
    size = KEPT_BESIDE_BYTES + 5 + len('{"status": 200}')
    assert await books(real_redis) == (size, {b"bob": size}, 1)


@pytest.mark.parametrize("value", ["a string", {"fingerprint": "f", "head": "{"}, {"head": "1"}])
async def test_kept_answer_that_cannot_be_read_is_thrown_away(
    real_redis: LinkedRedis, value: str | dict[str, str]
) -> None:
    kept, key = kept_in(real_redis), f"{PREFIX}answer:{asker().name}"
    if isinstance(value, str):
        await real_redis.set(key, value)
    else:
        await real_redis.hset(key, mapping={"fingerprint": "f", **value})
    assert await kept.begin(asker()) is Begun.RUN


@pytest.mark.parametrize("book", ["until", "of:ann", "bytes", "total"])
async def test_damaged_books_harm_nothing_but_what_is_kept(
    real_redis: LinkedRedis, book: str
) -> None:
    kept = kept_in(real_redis)
    await keep(kept, asker(1))
    await real_redis.delete(f"{PREFIX}{book}")
    await real_redis.hset(f"{PREFIX}{book}", "no", "book")
    assert not await keep(kept, asker(2))
    await real_redis.delete(f"{PREFIX}{book}")
    for number in range(3, 6):
        assert await keep(kept, asker(number))
