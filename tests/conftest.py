"""Fixtures: Redis, faked and real, and real llama.cpp servers on models made here."""

import gc
import threading
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import pytest
from fakeredis import TcpFakeServer
from hypothesis import settings
from redis.asyncio import Redis

from dispatcher.connection import open_redis
from dispatcher.log_lines import KINDS
from llamaq.demo_model import write_demo_model
from llamaq.repeats import RepeatFilter
from testing import root_certificates
from testing.key_leaks import leaked_keys
from testing.processes import free_port, valkey

root_certificates.read_once()

# How long an example takes says nothing where other processes want the machine too.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_addoption(parser: pytest.Parser) -> None:
    """How thorough the tests are that can't be thorough every time."""
    parser.addoption("--kills", type=int, default=1, help="deaths of each kind in test_deaths.py")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Nothing that is collected goes away: the collector of garbage need not look at it again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def real_redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Valkey; tests that share it clean up after themselves."""
    with valkey(tmp_path_factory.mktemp("valkey")) as url:
        yield url


@pytest.fixture(scope="session")
def fake_redis_url() -> Iterator[str]:
    """A faked Redis that many connections can share."""
    server = TcpFakeServer(("127.0.0.1", free_port()))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"redis://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(params=["fake", "real"])
def redis_url(request: pytest.FixtureRequest) -> str:
    """Each test that uses it runs twice: on the fake and on a real server."""
    return str(request.getfixturevalue(f"{request.param}_redis_url"))


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """A client of an empty Redis."""
    client = open_redis(redis_url)
    await client.flushall()
    yield client
    await client.flushall()
    await client.aclose()


@pytest.fixture(autouse=True)
def lines_are_logged() -> None:
    """Lines of fields are records, whatever a command has set up in this process before."""
    for lines in KINDS:
        lines.take = lines.log_now


@pytest.fixture
async def real_redis(real_redis_url: str) -> AsyncIterator[Redis]:
    """A client of an empty real Redis; at the end only model-wide keys may lack a time to live."""
    client = open_redis(real_redis_url)
    await client.flushall()
    yield client
    leaks = await leaked_keys(client)
    await client.flushall()
    await client.aclose()
    assert leaks == []


@pytest.fixture
def written(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """The log as the processes write it: a line that comes again and again is held back."""
    repeats = RepeatFilter()
    caplog.handler.addFilter(repeats)
    yield caplog
    caplog.handler.removeFilter(repeats)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The generated models: `tiny` answers at once, `small` streams for seconds."""
    folder = tmp_path_factory.mktemp("models")
    for size in ("tiny", "small"):
        write_demo_model(folder / f"{size}.gguf", size=size)
    return {path.stem: path for path in folder.iterdir()}
