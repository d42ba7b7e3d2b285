"""GET /ready tells whether Redis takes jobs: on a real server that refuses writes."""

from collections.abc import AsyncIterator

import pytest
from fastapi.testclient import TestClient
from httpx import ASGITransport, AsyncClient

from api import health
from api.app import create_app
from dispatcher.connection import open_redis
from dispatcher.errors import RedisUnavailable
from dispatcher.keys import REVOKED
from dispatcher.redis_check import WriteProbe
from dispatcher.revocations import revoke_token
from dispatcher.settings import QueueSettings
from testing.builders import make_settings, make_token
from testing.service import a_model, a_worker, service

TOKEN = {"Authorization": f"Bearer {make_token()}"}


@pytest.fixture
async def redis(real_redis_url: str) -> AsyncIterator[None]:
    yield
    client = open_redis(real_redis_url)
    for command in (
        ("CONFIG", "SET", "maxmemory", "0"),
        ("CONFIG", "SET", "min-replicas-to-write", "0"),
        ("REPLICAOF", "NO", "ONE"),
    ):
        await client.execute_command(*command)
    await client.aclose()


@pytest.mark.parametrize(
    ("refuse", "allow", "word"),
    [
        ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0", "maxmemory"),
        ("CONFIG SET min-replicas-to-write 1", "CONFIG SET min-replicas-to-write 0", "NOREPLICAS"),
        ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE", "read only replica"),
    ],
)
async def test_ready_tells_that_redis_refuses_writes_and_that_it_takes_them_again(
    real_redis_url: str, redis: None, refuse: str, allow: str, word: str
) -> None:
    admin = open_redis(real_redis_url)
    app = create_app(make_settings(), QueueSettings(redis_url=real_redis_url))  # type: ignore[arg-type]
    with TestClient(app) as client:
        said = []
        for command in ("PING", refuse, allow):
            await admin.execute_command(*command.split())
            said.append(client.get("/ready", headers=TOKEN).json()["error"])
        assert client.get("/health").status_code == 200
    await admin.aclose()
    assert [error["code"] for error in said] == ["no_worker", "redis_unavailable", "no_worker"]
    assert word in said[1]["message"]


def test_strangers_can_t_have_redis_be_asked_again_and_again(
    real_redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "_OF_STRANGERS_S", 60.0)
    looks, look = [], WriteProbe._look

    async def noted(probe: WriteProbe) -> RedisUnavailable | None:
        looks.append(probe)
        return await look(probe)

    monkeypatch.setattr(WriteProbe, "_look", noted)
    app = create_app(make_settings(), QueueSettings(redis_url=real_redis_url))  # type: ignore[arg-type]
    with TestClient(app) as client:
        for _ in range(5):
            assert client.get("/ready").status_code == 503
        assert len(looks) == 1
        client.get("/ready", headers=TOKEN)
        assert len(looks) == 2


@pytest.mark.parametrize("headers", [{}, {"Authorization": f"Bearer {make_token(exp=1)}"}])
def test_strangers_hear_only_whether_it_is_ready(headers: dict[str, str]) -> None:
    """At d26fdb4 anybody was told the names of the models."""
    with service() as api:
        ready = api.client.get("/ready", headers=headers)
        assert (ready.status_code, ready.json()) == (200, {"status": "ready"})
        known = api.client.get("/ready", headers=TOKEN)
        assert known.json() == {"status": "ready", "models": ["tiny"]}
        api.registry.models = {"tiny": a_model()}
        unready = api.client.get("/ready", headers=headers)
        assert (unready.status_code, unready.headers["retry-after"]) == (503, "2")
        assert unready.json()["error"]["code"] == "not_ready"
        assert "worker" not in unready.text
        assert api.client.get("/ready", headers=TOKEN).json()["error"]["code"] == "no_worker"
        assert api.client.get("/health", headers=headers).json() == {"status": "ok"}


def test_token_is_told_of_its_own_models_alone() -> None:
    """Before, any good token was told of all, also of those that `/v1/models` kept from it."""
    with service() as api:
        api.registry.models |= {"secret": a_model(a_worker(), model="secret")}
        told = {
            name: api.client.get(
                "/ready", headers={"Authorization": f"Bearer {make_token(models=[name])}"}
            ).json()["models"]
            for name in ("tiny", "other")
        }
        assert told == {"tiny": ["tiny"], "other": []}


async def test_revoked_token_is_told_no_more_than_a_stranger(real_redis_url: str) -> None:
    """Also by the first answer, which waits until it is known what was revoked."""
    redis = open_redis(real_redis_url)
    await revoke_token(redis, "gone", 2**31)
    app = create_app(make_settings(), QueueSettings(redis_url=real_redis_url))  # type: ignore[arg-type]
    headers = {"Authorization": f"Bearer {make_token(jti='gone')}"}
    async with (
        app.router.lifespan_context(app),
        AsyncClient(transport=ASGITransport(app), base_url="http://llamaq") as client,
    ):
        answer = await client.get("/ready", headers=headers)
    await redis.delete(REVOKED)
    await redis.aclose()
    assert answer.json()["error"]["code"] == "not_ready"
