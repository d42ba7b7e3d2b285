"""A Redis behind Sentinels: real ones, of which two server processes take turns."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from dispatcher.connection import LinkedRedis, open_redis
from dispatcher.errors import RedisUnavailable
from dispatcher.redis_check import UnfitRedis, check_redis
from dispatcher.sentinel_address import BadSentinelAddress, read_sentinel_address
from dispatcher.sentinels import LOOK_S, sentinel_pool
from testing.waiting import until
from tests.failover.servers import NAME, OWN_PASSWORD, Servers

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with Servers(tmp_path_factory.mktemp("sentinels"), replicas=1).running() as servers:
        yield servers


async def test_link_and_redis_py_leave_an_old_primary_that_lives_on(servers: Servers) -> None:
    """It takes writes for ten seconds more, until the Sentinels make a replica of it."""
    redis, old = open_redis(servers.url), servers.primary()
    await redis.set("plain", "old")
    await redis.link.call("SET", "linked", "old")
    await asyncio.to_thread(servers.fail_over)
    new = await asyncio.to_thread(servers.until_other_primary, old, by_order=True)

    async def are_moved() -> bool:
        try:
            await redis.link.call("SET", "linked", "new")
            await redis.set("plain", "new")
        except RedisUnavailable:
            return False
        return servers.ask(new, "MGET", "linked", "plain") == [b"new", b"new"]

    async with asyncio.timeout(5 * LOOK_S):
        await until(are_moved)
    assert servers.is_primary(old)  # it did not send them away
    await redis.aclose()


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ((f"/{NAME}/", "/other/"), f"knows no 'other'.*{NAME}"),
        ((f"={OWN_PASSWORD}", "=wrong"), "refuses our login: sentinel_password"),
        ((f"?sentinel_password={OWN_PASSWORD}", ""), "refuses our login: sentinel_password"),
    ],
)
async def test_what_the_sentinels_say_is_told_without_secrets(
    servers: Servers, changed: tuple[str, str], problem: str
) -> None:
    redis = open_redis(servers.url.replace(*changed))
    with pytest.raises(RedisUnavailable, match=f"no Sentinel knows.*{problem}") as raised:
        await redis.link.call("PING")
    assert OWN_PASSWORD not in str(raised.value)
    with pytest.raises(UnfitRedis, match=problem):
        await check_redis(redis, may_evict=False)
    await redis.aclose()


async def test_primary_that_waits_for_no_replica_is_told(
    servers: Servers, caplog: pytest.LogCaptureFixture
) -> None:
    redis = open_redis(servers.url)
    await check_redis(redis, may_evict=False, warns=True)
    assert "min-replicas-to-write 0" in caplog.text
    await redis.config_set("min-replicas-to-write", 1)
    caplog.clear()
    with suppress(RedisUnavailable):  # the other server is not its replica yet
        await check_redis(redis, may_evict=False, warns=True)
    assert "min-replicas-to-write" not in caplog.text
    await redis.config_set("min-replicas-to-write", 0)
    await redis.aclose()


async def test_sentinels_that_are_away_are_passed_over(servers: Servers) -> None:
    redis = open_redis(servers.url.replace("@", "@127.0.0.1:1,"))
    assert await redis.link.call("PING") == b"PONG"
    await redis.aclose()
    await _closed(redis)


async def _closed(redis: LinkedRedis) -> None:
    assert redis.sentinels is not None
    for sentinel in redis.sentinels.sentinels:
        pool = sentinel.connection_pool
        assert not any(each.is_connected for each in pool._available_connections)


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://a:1",
        "redis+sentinel://a:1/",
        "redis+sentinel:///main",
        "redis+sentinel://a:1,,b/main",
        "redis+sentinel://a:99999/main",
        "redis+sentinel://:hunter2@a:x/main",
        "redis+sentinel://:hunter2@a:1/main/x",
    ],
)
def test_address_that_is_none_is_told_without_secrets(url: str) -> None:
    with pytest.raises(BadSentinelAddress, match=r"^must .*redis\+sentinel://") as raised:
        read_sentinel_address(url)
    assert "hunter2" not in str(raised.value)


def test_address_may_have_ipv6_hosts_and_settings_of_redis_py() -> None:
    url = "rediss+sentinel://bob:p%2Fw@[::1]:1,b/main?sentinel_username=s&ssl_ca_certs=%2Fca.pem"
    address = read_sentinel_address(url)
    assert address is not None
    assert address.sentinels == (("::1", 1), ("b", 26379))
    assert address.server_url == "rediss://bob:p%2Fw@primary/0?ssl_ca_certs=%2Fca.pem"
    assert (address.username, address.password) == ("s", "")


def test_tls_goes_to_the_sentinels_and_to_redis(tmp_path: Path) -> None:
    address = read_sentinel_address("rediss+sentinel://:pw@a/main?ssl_ca_certs=/ca.pem")
    assert address is not None
    pool = sentinel_pool(address)
    of_sentinel = pool.sentinel_manager.sentinels[0].connection_pool
    assert of_sentinel.connection_kwargs["ssl_ca_certs"] == "/ca.pem"
    assert pool.connection_kwargs["ssl_ca_certs"] == "/ca.pem"
    assert of_sentinel.connection_class.__name__ == "SSLConnection"
    assert pool.connection_kwargs["password"] == "pw"
    assert of_sentinel.connection_kwargs.get("password") is None
