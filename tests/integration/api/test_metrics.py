"""What a whole API tells at a scrape, of itself and of its Redis."""

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from dispatcher.settings import QueueSettings
from testing.builders import make_settings, make_token
from testing.scraped import Scraped

pytestmark = pytest.mark.real


async def passes(_: QueueSettings) -> None:
    """Redis: this API ends before a look at it does."""


def test_a_scrape_tells_of_the_processes_and_of_redis(
    real_redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.app.check_when_back", passes)
    app = create_app(make_settings(api_workers=1), QueueSettings(redis_url=real_redis_url))
    token = {"Authorization": f"Bearer {make_token(scopes=['metrics'])}"}
    with TestClient(app) as client:
        told = Scraped(client.get("/metrics", headers=token).text)
    for name in ("api_configured_processes", "api_processes", "redis_up"):
        assert told.sum(f"llamaq_{name}") == 1
