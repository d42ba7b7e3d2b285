"""What APIs do in Redis for machines that were invited, and take back: on a real server."""

from collections.abc import AsyncIterator
from dataclasses import replace
from hashlib import sha256

import pytest

from dispatcher.commands import Commands, Identity, WorkerStatus
from dispatcher.connection import LinkedRedis, open_redis
from dispatcher.errors import RedisUnavailable
from dispatcher.invitations import (
    Invitation,
    end_invitation,
    read_invitations,
    remove_invitation,
    write_invitation,
)
from dispatcher.invited_keeper import InvitedKeeper
from dispatcher.invited_users import admit, machines_admitted
from dispatcher.keys import ALIASES, INVITED, MODELS
from dispatcher.redis_login import with_login
from dispatcher.registry import Registry, read_models, read_registry
from testing.ends import FACTS, KEYS

pytestmark = pytest.mark.real

PASSWORD = "secret"
BOB = Invitation("bob", KEYS.model, sha256(PASSWORD.encode()).hexdigest(), 1)
LEASE_S = 4.0


@pytest.fixture
async def keeper(real_redis: LinkedRedis) -> AsyncIterator[InvitedKeeper]:
    """That of an API, in a Redis in which `bob` is invited and nothing has been done yet."""
    await write_invitation(real_redis, BOB)
    yield InvitedKeeper(real_redis, LEASE_S)
    await remove_invitation(real_redis, "bob")
    await InvitedKeeper(real_redis, LEASE_S).heed(Registry([], {}, 0))


@pytest.fixture
async def bob(real_redis_url: str) -> AsyncIterator[LinkedRedis]:
    client = open_redis(with_login(real_redis_url, "invited-bob", PASSWORD))
    yield client
    await client.aclose()


async def beat(keeper: InvitedKeeper, redis: LinkedRedis) -> None:
    await keeper.heed(await read_registry(redis))


async def join(redis: LinkedRedis, worker: str, **facts: str) -> list[object]:
    status = WorkerStatus(60_000, 2, 1, replace(FACTS, **facts).pairs)  # type: ignore[arg-type]
    return await Commands(redis, KEYS).register(Identity(worker, "e"), status)


async def test_machine_waits_for_its_user_and_for_the_scripts(
    keeper: InvitedKeeper, real_redis: LinkedRedis, bob: LinkedRedis
) -> None:
    with pytest.raises(RedisUnavailable, match="refuses our login"):
        await join(bob, "w")
    await admit(real_redis, BOB)
    await real_redis.script_flush()
    with pytest.raises(RedisUnavailable, match=r"NOSCRIPT.*An API loads them"):
        await join(bob, "w")
    await beat(keeper, real_redis)
    assert (await join(bob, "w"))[0] == b"OK"


async def test_redis_that_has_forgotten_users_and_scripts_gets_them_again(
    keeper: InvitedKeeper, real_redis: LinkedRedis
) -> None:
    await beat(keeper, real_redis)
    await real_redis.acl_deluser("invited-bob")
    await real_redis.script_flush()
    for _ in range(2):  # at one beat it may be that `uninvite` has just removed it
        assert await machines_admitted(real_redis) == set()
        await beat(keeper, real_redis)
    assert await machines_admitted(real_redis) == {"bob"}


async def test_user_without_an_invitation_is_removed(
    keeper: InvitedKeeper, real_redis: LinkedRedis
) -> None:
    await admit(real_redis, replace(BOB, name="eve"))
    await beat(keeper, real_redis)
    assert await machines_admitted(real_redis) == {"bob"}
    await remove_invitation(real_redis, "bob")
    await beat(keeper, real_redis)
    assert await machines_admitted(real_redis) == set()


async def test_workers_of_a_machine_whose_invitation_has_ended_hold_no_lease(
    keeper: InvitedKeeper, real_redis: LinkedRedis
) -> None:
    await beat(keeper, real_redis)
    await join(real_redis, "told", invited="bob", server_id="1")
    await join(real_redis, "silent", server_id="2")
    await real_redis.zadd(KEYS.named("workers"), {"for-ever": "inf"})
    await end_invitation(real_redis, BOB, "too much")
    await beat(keeper, real_redis)
    seconds, _ = await real_redis.time()
    leases = dict(await real_redis.zrange(KEYS.named("workers"), 0, -1, withscores=True))
    assert leases[b"told"] < seconds * 1000
    assert max(leases.values()) < (seconds + LEASE_S + 2) * 1000
    assert await machines_admitted(real_redis) == set()


async def test_server_that_hides_its_users_is_no_error_where_nobody_is_invited(
    real_redis: LinkedRedis, real_redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    await real_redis.acl_setuser(
        "ann", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-acl"]
    )
    ann = open_redis(with_login(real_redis_url, "ann", "any"))
    try:
        keeper = InvitedKeeper(ann, LEASE_S)
        await keeper.heed(Registry([], {}, 0))
        assert caplog.text == ""
        await keeper.heed(Registry([], {"bob": BOB}, 0))
        assert "Redis can't be as the invitations say" in caplog.text
    finally:
        await ann.aclose()
        await real_redis.acl_deluser("ann")


@pytest.mark.parametrize(
    "row", ["", "[]", "{}", '{"model": "m", "password_hash": "x", "invited_s": 1}', b"\xff"]
)
async def test_invitation_that_can_not_be_read_is_left_out(
    keeper: InvitedKeeper, real_redis: LinkedRedis, row: str
) -> None:
    await real_redis.hset(INVITED, "bad", row)
    await real_redis.hset(INVITED, "a b", row)
    assert await read_invitations(real_redis) == {"bob": BOB}
    await real_redis.hdel(INVITED, "bad", "a b")


async def test_model_that_invited_machines_serve_is_known_and_gets_no_names_from_them(
    keeper: InvitedKeeper, real_redis: LinkedRedis, bob: LinkedRedis
) -> None:
    await beat(keeper, real_redis)
    assert await read_models(real_redis) == []
    await join(bob, "w", aliases="gpt-4o other")
    registry = await read_registry(real_redis)
    (state,) = registry.models
    assert (state.model, state.seen_s, state.invited, state.aliases) == ("tiny", 0, ("bob",), ())
    await keeper.heed(registry)
    assert await real_redis.zscore(MODELS, "tiny") is not None
    # A worker of ours has announced a name: it is the model's, whoever says so.
    await real_redis.zadd(f"{ALIASES}:{{tiny}}", {"gpt-4o": registry.now_s})
    (state,) = await read_models(real_redis)
    assert (state.aliases, state.first_served_s) == (("gpt-4o",), int(registry.now_s))
    await real_redis.delete(f"{ALIASES}:{{tiny}}")
