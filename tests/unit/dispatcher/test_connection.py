"""How Redis is opened, and that each of its faults has one type."""

import pytest
from redis.asyncio import Redis
from redis.exceptions import BusyLoadingError, NoScriptError, RedisError, ResponseError

from dispatcher.connection import open_redis, redis_faults
from dispatcher.errors import RedisUnavailable
from testing.desk import Desk
from testing.relay import Relay

FOR_NOW = [
    "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist",
    "BUSY Redis is busy running a script.",
    "NOREPLICAS Not enough good replicas to write.",
    "Error running script: @user_script:9: -OOM command not allowed when used memory is high.",
    "Error running script: @user_script:9: -READONLY You can't write against a read only replica.",
]


@pytest.mark.parametrize("text", FOR_NOW)
def test_refusal_for_now_is_unavailability(text: str) -> None:
    with pytest.raises(RedisUnavailable, match="refuses work"), redis_faults():
        raise ResponseError(text)


@pytest.mark.parametrize(
    "error",
    [
        BusyLoadingError("Valkey is loading the dataset in memory"),
        NoScriptError("No matching script."),  # flushed again since it was loaded
    ],
)
def test_server_that_has_not_everything_yet_is_unavailable(error: RedisError) -> None:
    with pytest.raises(RedisUnavailable), redis_faults():
        raise error


@pytest.mark.parametrize(
    "text", ["wrong number of arguments", "BUSYGROUP exists", "BUSYKEY exists"]
)
def test_mistake_of_ours_stays_what_it_is(text: str) -> None:
    with pytest.raises(ResponseError), redis_faults():
        raise ResponseError(text)


async def test_replica_is_unavailable(real_redis_url: str) -> None:
    client = open_redis(real_redis_url)
    await client.execute_command("REPLICAOF", "127.0.0.1", "1")
    try:
        with pytest.raises(RedisUnavailable, match="refuses work"):
            await write(client)
        with pytest.raises(RedisUnavailable, match="refuses work"):
            await Desk(client).heartbeat("a")
    finally:
        await client.execute_command("REPLICAOF", "NO", "ONE")
        await client.aclose()


async def write(client: Redis) -> None:
    with redis_faults():
        await client.set("key", "value")


async def test_absent_server_is_unavailable() -> None:
    client = open_redis("redis://127.0.0.1:1")
    with pytest.raises(RedisUnavailable, match="can't be reached"):
        await write(client)
    await client.aclose()


async def test_wrong_password_is_unavailability(real_redis_url: str) -> None:
    admin, stranger = open_redis(real_redis_url), open_redis(real_redis_url)
    await admin.config_set("requirepass", "right")
    try:
        with pytest.raises(RedisUnavailable, match="refuses our login"):
            await write(stranger)
    finally:
        await admin.config_set("requirepass", "")
        await admin.aclose()
        await stranger.aclose()


async def test_command_whose_reply_was_lost_is_not_repeated(
    redis: Redis, relay: Relay, relayed: Redis
) -> None:
    relay.cut_next_reply()
    with pytest.raises(RedisUnavailable), redis_faults():
        await relayed.incr("llamaq:{m}:counters")
    assert await redis.get("llamaq:{m}:counters") == b"1"


async def test_client_connects_again_after_a_cut(
    redis: Redis, relay: Relay, relayed: Redis
) -> None:
    relay.cut_next_reply()
    with pytest.raises(RedisUnavailable), redis_faults():
        await relayed.ping()
    assert await relayed.ping()
