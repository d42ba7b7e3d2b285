"""Which tokens are revoked, as Redis keeps it and as each API knows it."""

import time

import pytest

from dispatcher import revocations as module
from dispatcher.connection import LinkedRedis
from dispatcher.errors import RedisUnavailable
from dispatcher.keys import REVOKED
from dispatcher.revocations import (
    FOR_EVER,
    Revocations,
    TooManyRevoked,
    revoke_subject,
    revoke_token,
)

LATER = int(time.time()) + 3600


async def test_token_is_revoked_by_its_id_alone(redis: LinkedRedis) -> None:
    known = Revocations()
    assert not await known.read(redis)
    assert known.is_read
    await revoke_token(redis, "a", LATER)
    assert await known.read(redis)
    assert known.forbid("a", "ann", 10**11)
    for id_ in ("b", "", None, 7, [], "jti a"):
        assert not known.forbid(id_, "a", 0)


async def test_subject_is_revoked_until_now(redis: LinkedRedis) -> None:
    known = Revocations()
    second = await revoke_subject(redis, "ann", 0)
    assert abs(second - time.time()) < 60
    await known.read(redis)
    assert known.forbid("a", "ann", second)
    assert known.forbid(None, "ann", second + 0.9)
    assert known.forbid(None, "ann", 0)
    assert not known.forbid("a", "ann", second + 1)
    assert not known.forbid("a", "sub ann", 0)
    assert await redis.hget(REVOKED, "sub ann") == b"%d %d" % (second, FOR_EVER)


async def test_nothing_is_read_while_nothing_changes(
    redis: LinkedRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = Revocations()
    await revoke_token(redis, "a", LATER)
    await known.read(redis)
    monkeypatch.setattr(module, "read_revoked", None)
    assert not await known.read(redis)


async def test_what_redis_has_lost_is_put_back(redis: LinkedRedis) -> None:
    known, other = Revocations(), Revocations()
    await revoke_token(redis, "a", LATER)
    second = await revoke_subject(redis, "ann", 0)
    await known.read(redis)
    await redis.flushall()
    await revoke_token(redis, "b", LATER)
    assert await known.read(redis)
    assert await other.read(redis)
    for each in (known, other):
        assert each.forbid("a", "", 0)
        assert each.forbid("b", "", 0)
        assert each.forbid("", "ann", second)


async def test_of_two_revocations_of_a_subject_the_later_one_counts(redis: LinkedRedis) -> None:
    known = Revocations()
    await redis.hset(REVOKED, mapping={"sub ann": "2000 9999999999", "version": "x"})
    await known.read(redis)
    await redis.hset(REVOKED, mapping={"sub ann": "1000 9999999999", "version": "y"})
    await known.read(redis)
    assert known.forbid("", "ann", 2000)


async def test_what_is_over_is_deleted(redis: LinkedRedis) -> None:
    gone = int(time.time()) - 7200
    await revoke_token(redis, "a", gone)
    await redis.hset(REVOKED, "sub ann", f"{gone - 3600} {gone}")
    await revoke_token(redis, "b", LATER)
    assert set(await redis.hkeys(REVOKED)) == {b"version", b"jti b"}
    second = await revoke_subject(redis, "ann", 3600)
    assert await redis.hget(REVOKED, "sub ann") == b"%d %d" % (second, second + 3600)


async def test_there_is_a_bound(redis: LinkedRedis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_REVOKED", 2)
    await revoke_token(redis, "a", LATER)
    await revoke_subject(redis, "ann", 0)
    with pytest.raises(TooManyRevoked, match="replace the secret"):
        await revoke_token(redis, "b", LATER)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("jti x", "soon"), ("jti x", ""), ("jti x", "1 2"), ("jti x", "9" * 400)),
        *(("sub x", "1"), ("sub x", "1 2 3"), ("sub x", "-1 2"), ("x", "1"), (b"\xff", "1")),
    ],
)
async def test_what_is_no_revocation_is_left_out_and_logged(
    redis: LinkedRedis, name: str, value: str, caplog: pytest.LogCaptureFixture
) -> None:
    known = Revocations()
    await redis.hset(REVOKED, name, value)
    await revoke_token(redis, "a", LATER)
    await redis.hset(REVOKED, name, value)
    assert await known.read(redis)
    assert known.forbid("a", "", 0)
    assert "is no revocation" in caplog.text


async def test_key_of_another_kind_is_logged_and_nothing_is_forgotten(
    real_redis: LinkedRedis, caplog: pytest.LogCaptureFixture
) -> None:
    redis = real_redis
    known, fresh = Revocations(), Revocations()
    await revoke_token(redis, "a", LATER)
    await known.read(redis)
    await redis.set(REVOKED, "x")
    assert not await known.read(redis)
    assert not await fresh.read(redis)
    assert known.forbid("a", "", 0)
    assert not fresh.is_read
    assert "can't be read" in caplog.text


async def test_redis_that_is_away_is_told(redis: LinkedRedis) -> None:
    await redis.link.close()
    with pytest.raises(RedisUnavailable):
        await Revocations().read(redis)
