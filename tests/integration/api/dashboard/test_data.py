"""The data of the dashboard, on a real Redis: who gets it, and what it tells."""

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from fastapi.testclient import TestClient

from api.app import create_app
from dispatcher.settings import QueueSettings
from testing.builders import SECRET, make_settings, make_token

pytestmark = pytest.mark.real

HOSTILE = "<img src=x onerror=alert(1)>"
DATA = ("", "/live", "/history", "/usage")
ORDERS = ("/drain", "/resume", "/cancel")


@pytest.fixture(scope="module")
def client(real_redis_url: str) -> Iterator[TestClient]:
    with redis.Redis.from_url(real_redis_url) as store:
        store.flushall()
        _fill(store)
        app = create_app(make_settings(), QueueSettings(redis_url=real_redis_url))
        with TestClient(app) as running:
            yield running
        store.flushall()


def _fill(store: Any) -> None:
    seconds, _ = store.time()
    store.zadd("llamaq:models", {"tiny": seconds})
    worker = {"server": "http://gpu:1", "health": "healthy", "accepting": 1, "slots": 2}
    worker |= {"context": 1024, "protocol": 4, "host": HOSTILE, "tokens_per_s": 41.5}
    worker |= {"place": HOSTILE, "epoch": "e"}
    store.hset(f"llamaq:{{tiny}}:worker:{HOSTILE}-0a1b2c", mapping=worker)
    store.zadd("llamaq:{tiny}:workers", {f"{HOSTILE}-0a1b2c": (seconds + 600) * 1000})
    job = {"state": "running", "tenant": "ann%20b", "user": "-", "tier": "default", "worker": "w"}
    job |= {"enqueued_ms": (seconds - 60) * 1000, "attempts": 2, "generation": 2}
    store.hset("llamaq:{tiny}:job:j1", mapping=job)
    store.zadd("llamaq:{tiny}:deadlines", {"j1": (seconds + 600) * 1000})
    gone = {"how": "left", "host": "gpu2", "revoked": 2}
    store.hset("llamaq:{tiny}:gone:old-0a1b2c", mapping=gone)
    store.zadd("llamaq:{tiny}:gone", {"old-0a1b2c": (seconds - 90) * 1000})
    day = f"{seconds // 86400}"
    used = {"ann%20b": "requests=2 prompt=30 cached=9 completion=12 slot_ms=800"}
    store.hset(f"llamaq:{{tiny}}:usage:{_date(int(day))}", mapping=used)


def _date(day: int) -> str:
    from datetime import date, timedelta

    return (date(1970, 1, 1) + timedelta(days=day)).isoformat()


def ask(client: TestClient, path: str, **claims: Any) -> Any:
    token = make_token(**{"scopes": ["admin"], **claims})
    return client.get(f"/dashboard/data{path}", headers={"Authorization": f"Bearer {token}"})


@pytest.mark.parametrize("path", DATA)
def test_only_admins_get_data(client: TestClient, path: str) -> None:
    assert client.get(f"/dashboard/data{path}").status_code == 401
    assert ask(client, path, scopes=None).status_code == 403
    refused = ask(client, path, scopes=["chat", "models", "usage"])
    assert refused.json()["error"]["code"] == "scope_not_allowed"


@pytest.mark.parametrize("path", ORDERS)
def test_only_admins_give_orders(client: TestClient, path: str) -> None:
    for token in ({}, {"Authorization": f"Bearer {make_token()}"}):
        answer = client.post(f"/dashboard/data{path}", headers=token, json={"worker": "w"})
        assert answer.status_code == (403 if token else 401)
    assert ask(client, path).status_code == 405


def test_token_in_the_address_is_none(client: TestClient) -> None:
    token = make_token(scopes=["admin"])
    assert client.get(f"/dashboard/data?token={token}").status_code == 401


def test_snapshot_tells_of_workers_and_jobs_and_of_no_secret(client: TestClient) -> None:
    answer = ask(client, "")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "application/json"
    (model,) = answer.json()["models"]
    (worker,) = model["workers"]
    assert worker["id"] == f"{HOSTILE}-0a1b2c"
    assert (worker["slots"], worker["tokens_per_s"]) == (2, 41.5)
    (request,) = model["requests"]
    assert (request["tenant"], request["resumed"], request["attempts"]) == ("ann b", True, 2)
    assert 59 <= request["since_s"] < 120
    (gone,) = model["gone"]
    assert (gone["id"], gone["why"]) == ("old-0a1b2c", "its bridge was stopped")
    assert (gone["jobs"], 89 < gone["ago_s"] < 150) == ("2 queued again", True)
    assert SECRET not in answer.text
    assert "redis" not in answer.text


def test_usage_is_told_of_all_tenants(client: TestClient) -> None:
    told = ask(client, "/usage?days=2&by=tenant").json()
    assert [row["tenant"] for row in told["data"]] == ["ann b"]
    assert told["total"]["completion_tokens"] == 12
    odd = "days=00900", f"days={'9' * 5000}"
    for query in ("days=0", "days=91", "days=x", "by=user", *odd):
        assert ask(client, f"/usage?{query}").status_code == 400


def test_history_has_a_step_for_each_minute_and_each_hour(client: TestClient) -> None:
    told = ask(client, "/history").json()
    assert (len(told["hour"]["steps"]), len(told["week"]["steps"])) == (60, 168)
    assert ask(client, "/history?model=none").json()["model"] == "none"


@pytest.mark.parametrize(
    ("order", "body", "status", "code"),
    [
        ("drain", {"worker": "nobody"}, 404, "worker_not_found"),
        ("cancel", {"job": "none"}, 404, "job_not_found"),
        ("drain", {"worker": 1}, 400, "invalid_request"),
        ("drain", {"worker": "w" * 600}, 400, "invalid_request"),
        ("resume", {}, 400, "invalid_request"),
        ("cancel", {"job": "j" * 5000}, 413, "body_too_large"),
    ],
)
def test_bad_orders_say_what_is_wrong(
    client: TestClient, order: str, body: Any, status: int, code: str
) -> None:
    token = {"Authorization": f"Bearer {make_token(scopes=['admin'])}"}
    answer = client.post(f"/dashboard/data/{order}", headers=token, json=body)
    assert answer.status_code == status, answer.text
    assert status == 413 or answer.json()["error"]["code"] == code


def test_orders_are_carried_out(client: TestClient) -> None:
    token = {"Authorization": f"Bearer {make_token(scopes=['admin'])}"}
    for order, drained in (("drain", True), ("resume", False)):
        body = {"worker": f"{HOSTILE}-0a1b2c"}
        done = client.post(f"/dashboard/data/{order}", headers=token, json=body)
        assert done.status_code == 200, done.text
        assert [each["worker"] for each in done.json()["done"]] == [f"{HOSTILE}-0a1b2c"]
        (worker,) = ask(client, "").json()["models"][0]["workers"]
        assert (worker["drained_s"] > 0) == drained
