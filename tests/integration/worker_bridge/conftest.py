"""Fixtures of the tests that need a whole stage: an API, Redis, and bridges."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from testing.builders import make_token
from testing.processes import SECRET, api, valkey
from testing.stage import Stage
from worker_bridge import health_monitor


@pytest.fixture(scope="session")
def stage_redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Valkey for the stages and their API alone."""
    with valkey(tmp_path_factory.mktemp("valkey")) as url:
        yield url


@pytest.fixture(scope="session")
def api_url(stage_redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with api(stage_redis_url, tmp_path_factory.mktemp("api") / "api.log") as (_, url):
        yield url


@pytest.fixture
async def stage(stage_redis_url: str, api_url: str) -> AsyncIterator[Stage]:
    headers = {"Authorization": f"Bearer {make_token(secret=SECRET)}"}
    async with httpx.AsyncClient(base_url=api_url, headers=headers, timeout=30) as client:
        stage = Stage(stage_redis_url, client)
        yield stage
        await stage.redis.flushall()
        await stage.redis.aclose()


@pytest.fixture
def sees_changes_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bridges see a change of their server soon."""
    for name in ("_TICK_S", "_PROPS_EVERY_S"):
        monkeypatch.setattr(health_monitor, name, 0.05)
