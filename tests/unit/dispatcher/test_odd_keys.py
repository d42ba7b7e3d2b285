"""Keys with something else in them, and rows that none of ours has written: found by fuzzing."""

import json

import pytest
from redis.asyncio import Redis

from dispatcher.errors import RedisUnavailable
from dispatcher.invitations import read_invitations
from dispatcher.keys import INVITED, MODELS, TENANTS, Keys
from dispatcher.queue import Queue
from dispatcher.registry import read_registry
from dispatcher.suspects import Suspect, read_suspects
from dispatcher.tenant_limits import read_settings
from dispatcher.turns import read_turns
from dispatcher.usage import known_models
from testing.ends import KEYS, Client, make_job

# The fake ends the connection of a command for a key of another type.
pytestmark = pytest.mark.parametrize("redis_url", ["real"], indirect=True)

DEEP = "[" * 20_000
GOOD = {"model": "m", "password_hash": "0" * 64, "invited_s": 7}


async def test_list_of_models_of_another_type_is_empty_and_all_else_is_read(
    redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """What is read beside it, as revocations, was not read any more."""
    await redis.set(MODELS, "odd")
    assert (await read_registry(redis)).models == []
    assert await known_models(redis) == []
    assert "llamaq:models can't be read" in caplog.text


@pytest.mark.parametrize("odd", [float("inf"), float("nan"), 10**20, -1, "soon", None])
async def test_invitation_of_no_time_is_left_out(redis: Redis, odd: object) -> None:
    """The directory of every API failed; `llamaq invite --list` did with 10**20."""
    rows = {"bob": json.dumps(GOOD | {"invited_s": odd}), "deep": DEEP, "eve": json.dumps(GOOD)}
    await redis.hset(INVITED, mapping=rows)
    assert list(await read_invitations(redis)) == ["eve"]


async def test_limits_that_are_nested_too_deep_are_left_out(redis: Redis) -> None:
    await redis.hset(TENANTS, mapping={"ann": DEEP, "bob": '{"concurrent": 2}'})
    assert await read_settings(redis) == {"bob": {"concurrent": 2}}


async def test_suspects_that_can_not_be_read_are_none(redis: Redis) -> None:
    """An invited machine could end `llamaq status` with either."""
    key = Keys("tiny").named("suspects")
    await redis.zadd(key, {"eve|-": "inf"})
    assert await read_suspects(redis.link, "tiny") == [Suspect("eve|-", 600)]
    await redis.delete(key)
    await redis.set(key, "odd", ex=9)
    assert await read_suspects(redis.link, "tiny") == []


async def test_names_of_those_who_wait_change_no_terminal(redis: Redis) -> None:
    await redis.zadd(KEYS.named("classes"), {"any": 0})
    await redis.zadd(KEYS.named("turns", "any|default"), {"\x1b[2J\n": 0})
    assert [turn.tenant for turn in await read_turns(redis.link, KEYS.model)] == ["_[2J_"]


async def test_request_for_a_damaged_queue_is_told_so(queue: Queue, redis: Redis) -> None:
    """It was a 500."""
    await queue.open(KEYS.model)
    await redis.set(KEYS.named("queue"), "odd")
    with pytest.raises(RedisUnavailable, match="is damaged"):
        await Client(queue, make_job()).submit()
