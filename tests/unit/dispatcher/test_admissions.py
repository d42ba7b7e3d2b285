"""Requests of limited tenants: exact over all APIs, and over all that an API may die of."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from dispatcher.admissions import OPEN, REQUESTS, Admissions
from dispatcher.connection import LinkedRedis, open_redis
from dispatcher.limits import Account, Limits

MANY = 64
ANN = "llamaq:{tenant:ann}:"


def ann(per_minute: int = 0, concurrent: int = 0) -> list[Account]:
    return [Account("ann", "", Limits(per_minute, concurrent=concurrent))]


@pytest.fixture
async def apis(redis_url: str, redis: Redis) -> AsyncIterator[Callable[[], Admissions]]:
    """Makes one more API with a connection of its own."""
    clients: list[LinkedRedis] = []

    def api(lease_s: float = 4) -> Admissions:
        clients.append(open_redis(redis_url))
        return Admissions(clients[-1], lease_s)

    yield api
    for client in clients:
        await client.aclose()


async def refusals(apis: list[Admissions], accounts: list[Account]) -> list[str]:
    """What becomes of many requests that come at once, at these APIs by turns."""
    asked = (apis[i % len(apis)].admit(f"r{i}", accounts) for i in range(MANY))
    return [verdict.refusal for verdict in await asyncio.gather(*asked)]


async def test_as_many_requests_begin_in_a_minute_as_may(
    apis: Callable[[], Admissions], redis: Redis
) -> None:
    both = [apis(), apis()]
    assert sorted(await refusals(both, ann(60))) == [""] * 60 + [REQUESTS] * 4
    verdict = await both[0].admit("one more", ann(60))
    (standing,) = verdict.standings
    assert (verdict.about, standing.requests) == (0, 60)
    assert 55_000 < standing.again_ms <= standing.all_ms <= 60_000
    oldest, second = await redis.zrange(ANN + "requests", 0, 1)
    await redis.zincrby(ANN + "requests", -59_950, oldest)
    await redis.zincrby(ANN + "requests", -30_000, second)
    await asyncio.sleep(0.06)
    assert (await both[0].admit("when one has left", ann(60))).refusal == ""
    verdict = await both[0].admit("and another", ann(60))
    assert verdict.refusal == REQUESTS
    assert 25_000 < verdict.standings[0].again_ms <= 30_000
    lowered = await both[0].admit("fewer", ann(59))
    assert lowered.standings[0].again_ms > 55_000
    assert 0 < await redis.pttl(ANN + "requests") <= 60_000


async def test_as_many_are_open_as_may_be(apis: Callable[[], Admissions], redis: Redis) -> None:
    both = [apis(), apis()]
    assert sorted(await refusals(both, ann(0, 4))) == [""] * 4 + [OPEN] * 60
    first, *others = [name.decode() for name in await redis.zrange(ANN + "open", 0, -1)]
    assert len(others) == 3
    both[0].leave(first, ann(0, 4), counts=True)
    verdict = await both[0].admit("x", ann(0, 4))
    assert (verdict.refusal, verdict.standings[0].open) == ("", 4)
    for request in others[:2]:
        both[1].leave(request, ann(0, 4), counts=True)
    assert (await both[1].admit("y", ann(0, 4))).standings[0].open == 3


async def test_request_that_was_refused_is_not_counted(
    apis: Callable[[], Admissions], redis: Redis
) -> None:
    api = apis()
    assert (await api.admit("a", ann(2, 1))).refusal == ""
    assert (await api.admit("b", ann(2, 1))).refusal == OPEN
    api.leave("a", ann(2, 1), counts=False)  # later, by others
    assert [(await api.admit(name, ann(2))).refusal for name in "cde"] == ["", "", REQUESTS]
    assert await redis.zcard(ANN + "open") == 0


async def test_admission_that_is_repeated_counts_once(apis: Callable[[], Admissions]) -> None:
    api = apis()
    verdicts = [await api.admit("a", ann(1, 1)) for _ in range(2)]
    assert [(v.refusal, v.standings[0].requests, v.standings[0].open) for v in verdicts] == [
        ("", 1, 1)
    ] * 2


async def test_places_of_an_api_that_died_come_back(
    apis: Callable[..., Admissions], redis: Redis
) -> None:
    dead, living = apis(lease_s=0.2), apis(lease_s=30)
    assert (await living.admit("a", ann(0, 2))).refusal == ""
    assert (await dead.admit("b", ann(0, 2))).refusal == ""
    assert (await living.admit("c", ann(0, 2))).refusal == OPEN
    await asyncio.sleep(0.15)
    dead.renew()
    await asyncio.sleep(0.1)
    assert (await living.admit("d", ann(0, 2))).refusal == OPEN
    await asyncio.sleep(0.15)
    assert (await living.admit("e", ann(0, 2))).refusal == ""
    assert await redis.zrange(ANN + "open", 0, -1) == [b"a", b"e"]


async def test_what_redis_has_lost_is_open_again(
    apis: Callable[[], Admissions], redis: Redis
) -> None:
    api = apis()
    many = [Account("ann", "", Limits(concurrent=600))]
    await asyncio.gather(*(api.admit(f"r{i}", many) for i in range(600)))
    api.leave("r7", many, counts=True)
    await redis.flushall()
    api.renew()
    verdict = await api.admit("r600", many)
    assert verdict.standings[0].open == 600
    assert (await api.admit("r601", many)).refusal == OPEN


async def test_end_users_count_for_themselves_and_for_their_tenant(
    apis: Callable[[], Admissions], redis: Redis
) -> None:
    api = apis()

    def of(user: str) -> list[Account]:
        return [
            Account("web {1}", "", Limits(3, concurrent=3)),
            Account("web {1}", user, Limits(2)),
        ]

    found = [await api.admit(f"r{i}", of(user)) for i, user in enumerate(["u", "u", "u", "v", "v"])]
    assert [(v.refusal, v.about) for v in found] == [
        *[("", 0), ("", 0), (REQUESTS, 1), ("", 0), (REQUESTS, 0)]
    ]
    keys = sorted([key.decode() async for key in redis.scan_iter()])
    whose = "llamaq:{tenant:web%20%7B1%7D}:"
    assert keys == [whose + name for name in ("open", "requests", "requests:u", "requests:v")]
    assert all([await redis.pttl(key) > 0 for key in keys])
    assert await redis.zcard(whose + "requests") == 3


async def test_damaged_key_is_told(apis: Callable[[], Admissions], redis: Redis) -> None:
    await redis.set(ANN + "requests", "x")
    with pytest.raises(ResponseError):
        await apis().admit("a", ann(1))
    await redis.delete(ANN + "requests")
