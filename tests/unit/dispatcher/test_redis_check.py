"""What a process says of the Redis that it is told of, before it starts: on real servers."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path

import pytest

from dispatcher.connection import open_redis
from dispatcher.errors import RedisUnavailable
from dispatcher.invitations import Invitation
from dispatcher.invited_users import admit, expel
from dispatcher.redis_check import (
    UnfitRedis,
    WriteProbe,
    check_at_start,
    check_kind,
    check_redis,
    check_when_back,
)
from dispatcher.redis_facts import read_redis_facts
from dispatcher.redis_login import with_login
from dispatcher.tasks import cancel
from llamaq.embedded_redis import find_server
from testing.ends import make_settings
from testing.impostors import listens
from testing.processes import free_port, program, valkey
from testing.waiting import until, wait_until


async def check(url: str, *, may_evict: bool = False) -> None:
    client = open_redis(url)
    try:
        await check_redis(client, may_evict=may_evict)
    finally:
        await client.aclose()


@asynccontextmanager
async def configured(url: str, name: str, value: str, before: str) -> AsyncIterator[None]:
    """The server with another setting."""
    admin = open_redis(url)
    await admin.config_set(name, value)
    try:
        yield
    finally:
        await admin.config_set(name, before)
        await admin.aclose()


async def test_server_in_order_passes(real_redis_url: str) -> None:
    await check(real_redis_url)


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
async def test_server_that_would_lose_jobs_is_refused(real_redis_url: str, policy: str) -> None:
    async with configured(real_redis_url, "maxmemory-policy", policy, "noeviction"):
        with pytest.raises(UnfitRedis, match=f"{policy}.*CONFIG SET maxmemory-policy noeviction"):
            await check(real_redis_url)
        await check(real_redis_url, may_evict=True)


@pytest.mark.parametrize("login", ["", ":wrong@", "ann:wrong@"])
async def test_wrong_password_is_refused(real_redis_url: str, login: str) -> None:
    admin = open_redis(real_redis_url)
    await admin.config_set("requirepass", "right")
    try:
        with pytest.raises(UnfitRedis, match="refuses the login of LLAMAQ_REDIS_URL"):
            await check_at_start(make_settings(real_redis_url.replace("//", f"//{login}")))
    finally:
        await admin.config_set("requirepass", "")
        await admin.aclose()


async def test_password_for_a_server_without_one_is_refused(real_redis_url: str) -> None:
    with pytest.raises(UnfitRedis, match="refuses the login of LLAMAQ_REDIS_URL"):
        await check(real_redis_url.replace("//", "//ann:needless@"))


async def test_invited_machine_passes_and_is_told_when_it_is_invited_no_more(
    real_redis_url: str,
) -> None:
    admin = open_redis(real_redis_url)
    await admit(admin, Invitation("bob", "m", sha256(b"secret").hexdigest(), 1))
    url = with_login(real_redis_url, "invited-bob", "secret")
    try:
        await check(url)
        await expel(admin, "bob")
        with pytest.raises(UnfitRedis, match=r"'bob', by this secret.*llamaq invite bob --model"):
            await check(url)
    finally:
        await admin.aclose()


async def test_user_that_may_only_read_is_refused(real_redis_url: str) -> None:
    admin = open_redis(real_redis_url)
    await admin.acl_setuser("ann", enabled=True, nopass=True, keys=["*"], categories=["+@read"])
    try:
        with pytest.raises(UnfitRedis, match="may not do what llamaq needs"):
            await check(real_redis_url.replace("//", "//ann:any@"))
    finally:
        await admin.acl_deluser("ann")
        await admin.aclose()


async def test_cluster_is_refused(tmp_path: Path) -> None:
    ports = ("--port", str(free_port()), "--cluster-port", str(free_port()))
    refused = pytest.raises(UnfitRedis, match="Redis Cluster is not supported")
    with valkey(tmp_path, "--cluster-enabled", "yes", *ports) as url, refused:
        await check(url)


async def test_sentinel_is_refused(tmp_path: Path) -> None:
    config, port = tmp_path / "sentinel.conf", free_port()
    config.touch()
    command = [str(find_server()), str(config), "--sentinel", "--port", str(port)]
    with program([*command, "--dir", str(tmp_path)], tmp_path / "log"):
        wait_until(lambda: listens(port))
        with pytest.raises(UnfitRedis, match="names a Sentinel"):
            await check(f"redis://127.0.0.1:{port}")


async def test_what_is_no_redis_is_refused() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1") as web_server:
        port = web_server.sockets[0].getsockname()[1]
        with pytest.raises(UnfitRedis, match="does not speak as Redis does"):
            await check(f"redis://127.0.0.1:{port}")


async def test_server_that_forbids_config_and_info_passes(real_redis_url: str) -> None:
    admin = open_redis(real_redis_url)
    commands = ["+@all", "-config", "-info"]
    await admin.acl_setuser("ann", enabled=True, nopass=True, keys=["*"], commands=commands)
    try:
        await check(real_redis_url.replace("//", "//ann:any@"))
    finally:
        await admin.acl_deluser("ann")
        await admin.aclose()


async def test_facts_are_those_of_the_server(real_redis_url: str) -> None:
    async with configured(real_redis_url, "min-replicas-to-write", "3", "0"):
        client = open_redis(real_redis_url)
        facts = await read_redis_facts(client)
        await client.aclose()
    assert (facts.product, facts.mode, facts.policy) == ("Valkey", "standalone", "noeviction")
    assert (facts.appends, facts.snapshots, facts.fsync) == (False, False, "everysec")
    assert (facts.least_replicas, facts.replicas, facts.is_replica) == (3, 0, False)
    assert (facts.max_bytes, facts.stops_writes) == (0, True)
    assert facts.used_bytes > 0
    assert facts.version


async def test_what_may_go_wrong_is_logged_once(
    real_redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings = make_settings(real_redis_url)
    await check_at_start(settings)
    await check_when_back(settings)
    told = [record.getMessage() for record in caplog.records if record.name == "llamaq.redis"]
    assert len(told) == len(set(told)) == 2
    assert "appendonly no" in told[0]
    assert "maxmemory 0" in told[1]


async def test_reader_needs_no_right_to_write(real_redis_url: str) -> None:
    async with configured(real_redis_url, "min-replicas-to-write", "1", "0"):
        client = open_redis(real_redis_url)
        await check_kind(client)
        with pytest.raises(RedisUnavailable):
            await check_redis(client, may_evict=False)
        await client.aclose()


async def test_server_that_is_away_is_waited_for_and_looked_at_when_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("dispatcher.redis_check._AGAIN_S", 0.05)
    settings = make_settings(f"unix://{tmp_path}/valkey.sock")
    await check_at_start(settings)
    client = open_redis(settings.redis_url.get_secret_value())
    looking = asyncio.create_task(check_when_back(settings))
    with valkey(tmp_path, "--maxmemory-policy", "allkeys-lru"):
        await until(lambda: any(record.levelno == logging.ERROR for record in caplog.records))
        assert "maxmemory-policy allkeys-lru" in caplog.text
        assert not looking.done()
        await client.config_set("maxmemory-policy", "noeviction")
        await asyncio.wait_for(looking, 10)
    await cancel([looking])
    await client.aclose()


async def test_writes_are_looked_at_once_for_all_who_ask(
    real_redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = open_redis(real_redis_url)
    probe = WriteProbe(client)
    await client.config_resetstat()
    await asyncio.gather(*(probe.check() for _ in range(50)))
    evals = (await client.info("commandstats"))["cmdstat_eval"]["calls"]
    await client.aclose()
    assert evals <= 2
