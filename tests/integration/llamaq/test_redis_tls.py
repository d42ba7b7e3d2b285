"""TLS before the embedded Redis, and how its fingerprint in an address is heeded: on a real one."""

import asyncio
import shutil
import ssl
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import dispatcher.pinned_tls as pinned_tls
from dispatcher.connection import open_redis
from dispatcher.errors import RedisUnavailable
from dispatcher.pinned_tls import BadPin, split_pin
from dispatcher.settings import QueueSettings
from dispatcher.tasks import cancel
from llamaq.redis_certificates import TlsFiles, keep_certificates
from llamaq.redis_door import Door
from testing.processes import free_port

pytestmark = pytest.mark.real


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pinned_tls, "_found", {})


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    return keep_certificates(tmp_path_factory.mktemp("tls") / "ours", ["127.0.0.1"])


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    return keep_certificates(tmp_path_factory.mktemp("tls") / "theirs", ["127.0.0.1"])


@asynccontextmanager
async def served(redis_url: str, chain: Path, key: Path) -> AsyncIterator[int]:
    """The port of a door with these certificates, before the Redis on a socket."""
    tls, port = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), free_port()
    tls.load_cert_chain(chain, key)
    door = Door(redis_url.removeprefix("unix://"))
    serving = asyncio.create_task(door.serve("127.0.0.1", port, tls))
    try:
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.01)
            else:
                writer.close()
                break
        yield port
    finally:
        await cancel([serving])


async def ping(port: int, pin: str) -> None:
    client = open_redis(f"rediss://127.0.0.1:{port}/0?ca_sha256={pin}")
    try:
        assert await client.link.call("PING") == b"PONG"
        assert await client.ping()
        large = "x" * 200_000
        await client.link.call("SET", "llamaq:{tls}:body:j", large, "PX", 60_000)
        assert await client.get("llamaq:{tls}:body:j") == large.encode()
        await client.delete("llamaq:{tls}:body:j")
    finally:
        await client.aclose()


async def test_server_with_the_ca_of_the_fingerprint_is_trusted(
    real_redis_url: str, files: TlsFiles
) -> None:
    async with served(real_redis_url, files.chain, files.key) as port:
        await ping(port, files.fingerprint)
        await ping(port, ":".join(files.fingerprint.upper()[at : at + 2] for at in range(0, 64, 2)))


async def test_other_servers_are_refused_before_the_password_is_said(
    real_redis_url: str, files: TlsFiles, others: TlsFiles, tmp_path: Path
) -> None:
    async with served(real_redis_url, others.chain, others.key) as port:
        with pytest.raises(RedisUnavailable, match="its CA has another fingerprint"):
            await ping(port, files.fingerprint)
    # It shows our CA too, which has not signed its own certificate.
    chain = tmp_path / "chain.pem"
    chain.write_bytes(others.chain.read_bytes() + files.ca.read_bytes())
    async with served(real_redis_url, chain, others.key) as port:
        with pytest.raises(RedisUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
            await ping(port, files.fingerprint)


async def test_certificate_is_made_anew_by_the_same_ca(
    real_redis_url: str, files: TlsFiles, tmp_path: Path
) -> None:
    shutil.copytree(files.ca.parent, tmp_path / "tls")
    again = keep_certificates(tmp_path / "tls", ["10.0.0.5", "box"])
    assert again.fingerprint == files.fingerprint
    assert again.chain.read_bytes() != files.chain.read_bytes()
    for file in (again.key, again.ca_key):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    async with served(real_redis_url, again.chain, again.key) as port:
        await ping(port, files.fingerprint)


async def test_what_speaks_no_tls_gets_no_answer(real_redis_url: str, files: TlsFiles) -> None:
    async with served(real_redis_url, files.chain, files.key) as port:
        plain = open_redis(f"redis://127.0.0.1:{port}")
        with pytest.raises(RedisUnavailable):
            await plain.link.call("PING")
        await plain.aclose()


@pytest.mark.parametrize(
    "url",
    [
        f"redis://host?ca_sha256={'a' * 64}",
        "rediss://host?ca_sha256=",
        "rediss://host?ca_sha256=abc",
        f"rediss://host?ca_sha256={'g' * 64}",
        f"rediss://host?ca_sha256={'a' * 64}&ca_sha256={'b' * 64}",
    ],
)
def test_fingerprint_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(BadPin):
        split_pin(url)
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        QueueSettings(redis_url=url)  # type: ignore[arg-type]


def test_other_parts_of_an_address_stay() -> None:
    url = f"rediss://u:p%2F@host:1/2?a=b%2Fc&ca_sha256={'A' * 64}&d="
    assert split_pin(url) == ("rediss://u:p%2F@host:1/2?a=b%2Fc&d=", "a" * 64)
