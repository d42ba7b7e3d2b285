"""GET /ready tells whether Redis takes jobs: on a real server that refuses writes."""

from collections.abc import AsyncIterator

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from dispatcher.connection import open_redis
from dispatcher.settings import QueueSettings
from tests.builders import make_settings, make_token
from tests.unit.api.service import a_model, service

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
