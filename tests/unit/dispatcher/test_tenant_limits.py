"""What operators set for tenants, as Redis keeps it and as an API knows it."""

import json
from typing import Any

import pytest
from redis.asyncio import Redis

from dispatcher.limits import Limits
from dispatcher.tenant_limits import (
    MOST_SET,
    BadLimits,
    TenantLimits,
    check_setting,
    remove_limits,
    set_limits,
)

KEY = "llamaq:tenants"


@pytest.mark.parametrize(
    "setting",
    [
        None,
        [],
        {"rpm": 1},
        {"concurrent": -1},
        {"concurrent": 1.5},
        {"concurrent": True},
        {"concurrent": 10**15 + 1},
        {"models": "a"},
        {"models": [""]},
        {"models": ["a"] * 257},
    ],
)
def test_what_can_be_no_limits_is_refused(setting: Any) -> None:
    with pytest.raises(BadLimits):
        check_setting(setting)


async def test_limits_are_set_one_by_one_and_removed_together(redis: Redis) -> None:
    known = TenantLimits()
    await known.read(redis)
    assert (bool(known), known.of("ann")) == (False, None)
    await set_limits(redis, "ann", {"requests_per_minute": 60})
    await set_limits(redis, "ann", {"models": ["a", "b"]})
    await known.read(redis)
    assert known.of("ann") == Limits(60, models=frozenset({"a", "b"}))
    assert known.of("bob") is None
    await set_limits(redis, "ann", {"models": ["*"], "requests_per_minute": 0})
    await known.read(redis)
    assert known.of("ann") is None
    assert [await remove_limits(redis, "ann") for _ in range(2)] == [True, False]
    await known.read(redis)
    assert not known


async def test_what_is_set_for_all_holds_where_nothing_is_set(redis: Redis) -> None:
    await set_limits(redis, "*", {"requests_per_minute": 9, "concurrent": 2})
    await set_limits(redis, "web/*", {"tokens_per_day": 5, "models": ["a"]})
    await set_limits(redis, "web/u%2F1", {"tokens_per_day": 7})
    await set_limits(redis, "*/*", {"concurrent": 1})
    await set_limits(redis, "web", {"concurrent": 0})
    known = TenantLimits()
    await known.read(redis)
    assert known.of("ann") == Limits(9, concurrent=2)
    assert known.of("web") == Limits(9)
    assert known.of("web", "u/1") == Limits(0, 7, 0, 1, frozenset({"a"}))
    assert known.of("web", "u2") == Limits(0, 5, 0, 1, frozenset({"a"}))
    assert known.of("ann", "u2") == Limits(concurrent=1)


async def test_there_are_never_too_many(redis: Redis) -> None:
    await redis.hset(KEY, mapping={f"a{i}": "{}" for i in range(MOST_SET)})
    await set_limits(redis, "a7", {"concurrent": 1})
    with pytest.raises(BadLimits, match="remove some first"):
        await set_limits(redis, "b", {"concurrent": 1})


async def test_what_is_damaged_is_left_out(redis: Redis, caplog: pytest.LogCaptureFixture) -> None:
    await redis.hset(KEY, mapping={"a": "{", "b": '{"concurrent":"x"}', b"\xff": "[]"})
    await set_limits(redis, "ann", {"concurrent": 1})
    known = TenantLimits()
    await known.read(redis)
    assert known.of("ann") == Limits(concurrent=1)
    assert (known.of("a"), known.of("b")) == (None, None)
    assert caplog.text.count("are left out") == 2 * 3
    await redis.delete(KEY)
    await redis.set(KEY, "x")
    await known.read(redis)
    assert known.of("ann") == Limits(concurrent=1)
    assert "llamaq:tenants can't be read" in caplog.text


async def test_what_redis_has_lost_is_put_back(redis: Redis) -> None:
    await set_limits(redis, "ann", {"concurrent": 1})
    known = TenantLimits()
    await known.read(redis)
    await redis.flushall()
    await known.read(redis)
    assert json.loads(await redis.hget(KEY, "ann")) == {"concurrent": 1}
    another = TenantLimits()
    await another.read(redis)
    assert another.of("ann") == Limits(concurrent=1)
