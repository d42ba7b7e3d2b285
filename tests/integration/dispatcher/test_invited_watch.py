"""The watch takes back the invitations of machines that fill Redis: on a real server."""

import asyncio
from collections.abc import AsyncIterator
from hashlib import sha256

import pytest

import dispatcher.invited_watch as invited_watch
from dispatcher.connection import LinkedRedis, open_redis
from dispatcher.invitations import Invitation, holding, read_invitations, write_invitation
from dispatcher.invited_keeper import InvitedKeeper
from dispatcher.invited_users import admit, machines_admitted
from dispatcher.invited_watch import InvitedWatch
from dispatcher.keys import INVITED, WATCH
from dispatcher.redis_login import with_login
from dispatcher.registry import Registry

pytestmark = pytest.mark.real

PASSWORD = "secret"
MODEL = "m*"
BOB = Invitation("bob", MODEL, sha256(PASSWORD.encode()).hexdigest(), 1)
OWN = f"llamaq:{{{MODEL}}}:"
MUCH = 2**20


@pytest.fixture
async def bob(real_redis: LinkedRedis, real_redis_url: str) -> AsyncIterator[LinkedRedis]:
    """What `bob` writes with."""
    await write_invitation(real_redis, BOB)
    await admit(real_redis, BOB)
    client = open_redis(with_login(real_redis_url, "invited-bob", PASSWORD))
    yield client
    await client.aclose()
    await real_redis.delete(INVITED, WATCH)
    await InvitedKeeper(real_redis, 4).heed(Registry([], {}, 0))


async def watch(redis: LinkedRedis, api: str = "a") -> InvitedWatch:
    invited = holding(await read_invitations(redis))
    return InvitedWatch(redis, api, lambda: invited, MUCH)


async def test_machine_that_writes_little_stays(bob: LinkedRedis, real_redis: LinkedRedis) -> None:
    await bob.link.call("SET", f"{OWN}body:j", "x" * (MUCH // 2), "PX", 60_000)
    await (await watch(real_redis)).look()
    assert await machines_admitted(real_redis) == {"bob"}
    assert await real_redis.delete(f"{OWN}body:j") == 1


async def test_machine_that_fills_redis_is_removed_and_what_it_wrote_with_it(
    bob: LinkedRedis, real_redis: LinkedRedis
) -> None:
    others = ["llamaq:{m}:body:j", "llamaq:{mm}:body:j", f"{OWN}usage:2026-01-01"]
    for key in others:
        await real_redis.set(key, "x", px=60_000)
    for number in range(3):
        await bob.link.call("SET", f"{OWN}body:{number}", "x" * (MUCH // 2))
    await bob.link.call("ZADD", f"{OWN}workers", "inf", "w")
    await (await watch(real_redis)).look()
    assert await machines_admitted(real_redis) == set()
    keys = await real_redis.keys(f"{OWN.replace('*', '[*]')}*")
    assert keys == [others[-1].encode()]
    assert await real_redis.exists(*others) == len(others)
    (ended,) = (await read_invitations(real_redis)).values()
    assert ended.ended == "of the model 'm*': its keys took more than 1 MiB of Redis"


@pytest.mark.parametrize("kind", ["ZADD", "HSET", "SADD", "XADD"])
async def test_key_with_too_many_elements_is_too_much(
    bob: LinkedRedis, real_redis: LinkedRedis, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(invited_watch, "_MOST_ELEMENTS", 10)
    for number in range(11):
        words = {"ZADD": (1, number), "HSET": (number, 1), "SADD": (number,)}
        await bob.link.call(kind, f"{OWN}speeds", *words.get(kind, ("*", "a", number)))
    await (await watch(real_redis)).look()
    assert await machines_admitted(real_redis) == set()


async def test_redis_that_may_have_little_gives_less(
    bob: LinkedRedis, real_redis: LinkedRedis
) -> None:
    size = int((await real_redis.info("memory"))["used_memory"]) + 2 * MUCH
    invited = holding(await read_invitations(real_redis))
    generous = InvitedWatch(real_redis, "a", lambda: invited, 2**40)
    await bob.link.call("SET", f"{OWN}body:j", "x" * size)
    await real_redis.config_set("maxmemory", int(1.5 * size))
    try:
        await generous.look()
    finally:
        await real_redis.config_set("maxmemory", 0)
    assert await machines_admitted(real_redis) == set()


async def test_machine_with_too_many_workers_is_removed_at_the_next_beat(
    bob: LinkedRedis, real_redis: LinkedRedis
) -> None:
    looking = await watch(real_redis)
    await looking.look()
    await bob.link.call("ZADD", f"{OWN}workers", *(word for at in range(5001) for word in (1, at)))
    await looking.look()
    (ended,) = (await read_invitations(real_redis)).values()
    assert "too many workers" in ended.ended
    assert await machines_admitted(real_redis) == set()


async def test_machine_with_too_many_connections_is_removed(
    bob: LinkedRedis, real_redis: LinkedRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invited_watch, "_MOST_CONNECTIONS", 1)
    await bob.link.call("PING")
    await bob.ping()
    await (await watch(real_redis)).look()
    (ended,) = (await read_invitations(real_redis)).values()
    assert ended.ended == "it had 2 connections to Redis"
    assert await machines_admitted(real_redis) == set()


async def test_machine_that_reads_no_answers_is_removed(
    bob: LinkedRedis,
    real_redis: LinkedRedis,
    real_redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(invited_watch, "_MOST_BUFFERED_BYTES", 4 * MUCH)
    await bob.link.call("SET", f"{OWN}body:j", "x" * (MUCH // 2), "PX", 60_000)
    reader, writer = await asyncio.open_unix_connection(real_redis_url.removeprefix("unix://"))
    ask = f"AUTH invited-bob {PASSWORD}\r\n" + f"GET {OWN}body:j\r\n" * 20
    writer.write(ask.encode())
    await reader.readline()
    looking = await watch(real_redis)
    for _ in range(100):  # until Redis has read all of it
        if not await machines_admitted(real_redis):
            break
        looking = await watch(real_redis)
        await looking.look()
    writer.transport.abort()
    (ended,) = (await read_invitations(real_redis)).values()
    assert "its connections took" in ended.ended
    await real_redis.delete(f"{OWN}body:j")


async def test_one_api_at_a_time_watches(bob: LinkedRedis, real_redis: LinkedRedis) -> None:
    first, second = await watch(real_redis, "a"), await watch(real_redis, "b")
    await first.look()
    await bob.link.call("SET", f"{OWN}body:j", "x" * 2 * MUCH)
    await second.look()
    assert await machines_admitted(real_redis) == {"bob"}
    await first.look()  # at its next beat: Redis has grown by much
    assert await machines_admitted(real_redis) == set()
