"""GET /v1/usage, on a real Redis."""

import threading
from collections.abc import Iterator
from typing import Any, cast

import pytest
import redis

from api import usage_by_user
from api.endpoints import ENDPOINTS
from api.openapi import document
from dispatcher.connection import open_redis
from dispatcher.usage import DayOfUsers
from testing.builders import make_token
from testing.service import Service, service

pytestmark = pytest.mark.real

DAYS = {
    "2026-11-01": {"me": "requests=2 prompt=30 cached=9 completion=12 slot_ms=800"},
    "2026-11-02": {
        "me": "requests=1 prompt=10 cached=0 completion=5 slot_ms=1500 users=1",
        "other": "requests=9 prompt=9 cached=9 completion=9 slot_ms=9",
    },
}
NOVEMBER = "from=2026-11-01&to=2026-11-30"


@pytest.fixture
def api(real_redis_url: str) -> Iterator[Service]:
    with redis.Redis.from_url(real_redis_url) as client:
        client.flushall()
        client.zadd("llamaq:models", {"tiny": 1, "large": 1})
        for day, fields in DAYS.items():
            client.hset(f"llamaq:{{tiny}}:usage:{day}", mapping=fields)
        eve = {"me|eve": "requests=1 prompt=4 cached=0 completion=5 slot_ms=500"}
        client.hset("llamaq:{tiny}:usage_users:2026-11-02", mapping=eve)
        with service() as running:
            running.registry.models = {}  # it waits for none
            link = cast(Any, running.queue).redis = open_redis(real_redis_url)
            yield running
            assert running.client.portal is not None
            running.client.portal.call(link.aclose)
        client.flushall()


def ask(api: Service, query: str = "", path: str = "/v1/usage", **claims: Any) -> Any:
    token = {"Authorization": f"Bearer {make_token(**claims)}"}
    return api.client.get(f"{path}?{query}", headers=token)


def test_tenant_sees_its_own_by_day(api: Service) -> None:
    answer = ask(api, NOVEMBER)
    assert answer.json() == {
        "object": "usage",
        "tenant": "me",
        "from": "2026-11-01",
        "to": "2026-11-30",
        "group_by": "day",
        "data": [
            {"day": "2026-11-01", **counts(2, 30, 9, 12, 0.8)},
            {"day": "2026-11-02", **counts(1, 10, 0, 5, 1.5)},
        ],
        "total": counts(3, 40, 9, 17, 2.3),
    }
    (of_model,) = ask(api, f"{NOVEMBER}&group_by=model", "/usage/").json()["data"]
    assert of_model == {"model": "tiny", **counts(3, 40, 9, 17, 2.3)}
    assert ask(api, NOVEMBER, sub="nobody").json()["data"] == []


def test_document_tells_all_of_an_answer(api: Service) -> None:
    usage = document(ENDPOINTS)["paths"]["/v1/usage"]
    schema = usage["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    asked = {each["name"] for each in usage["parameters"]}
    assert asked == {"from", "to", "group_by", "user"}
    whole = ask(api, f"{NOVEMBER}&user=eve", delegate=True).json()
    assert set(whole) == set(schema["properties"])
    assert set(whole) - {"user"} == set(schema["required"])
    row, total = schema["properties"]["data"]["items"], schema["properties"]["total"]
    assert set(whole["total"]) == set(total["required"]) == set(total["properties"])
    assert set(whole["data"][0]) - {"day"} == set(row["required"])
    assert set(row["properties"]) - set(row["required"]) == {"day", "model", "user"}


def counts(requests: int, prompt: int, cached: int, completion: int, slot_s: float) -> Any:
    return {
        "requests": requests,
        "prompt_tokens": prompt,
        "cached_tokens": cached,
        "completion_tokens": completion,
        "slot_seconds": slot_s,
    }


def test_without_days_it_is_of_this_month(api: Service) -> None:
    found = ask(api).json()
    assert found["from"] == found["to"][:8] + "01"


def test_delegate_sees_its_users(api: Service) -> None:
    found = ask(api, f"{NOVEMBER}&group_by=user", delegate=True).json()["data"]
    eve = {"user": "eve", **counts(1, 4, 0, 5, 0.5)}
    assert found == [{"user": "", **counts(2, 36, 9, 12, 1.8)}, eve]
    one = ask(api, f"{NOVEMBER}&user=eve", delegate=True).json()
    assert (one["user"], one["total"]) == ("eve", counts(1, 4, 0, 5, 0.5))


def test_report_of_very_many_users_is_made_beside_the_event_loop_and_is_bounded(
    api: Service, real_redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before, one such report of 200,000 rows kept all other requests waiting for over a second."""
    threads = set()
    add = usage_by_user.SumsByUser.add

    def noted(made: usage_by_user.SumsByUser, users: DayOfUsers) -> None:
        threads.add(threading.current_thread() is threading.main_thread())
        threads.add(threading.current_thread().name.startswith("large-bodies"))
        add(made, users)

    monkeypatch.setattr(usage_by_user.SumsByUser, "add", noted)
    monkeypatch.setattr(usage_by_user, "MOST_USERS", 3)
    one = "requests=1 prompt=2 cached=0 completion=3 slot_ms=0"
    with redis.Redis.from_url(real_redis_url) as client:
        client.hset("llamaq:{tiny}:usage:2026-11-03", "me", "requests=9 prompt=9 users=4")
        for model in ("tiny", "large"):
            users = {f"me|{model}-{n}": one for n in range(4)}
            client.hset(f"llamaq:{{{model}}}:usage_users:2026-11-03", mapping=users)
    found = ask(api, f"{NOVEMBER}&group_by=user", delegate=True).json()
    names = [row["user"] for row in found["data"]]
    assert ("" in names, "(others)" in names, len(names)) == (True, True, 5)
    assert found["total"]["requests"] == 3 + 9 + 4
    assert threads == {True, False}


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("from=yesterday", "is no day"),
        ("from=2026-11-02&to=2026-11-01", "must not be after"),
        ("from=2020-01-01", "400 days"),
        ("group_by=tenant", "must be one of"),
        ("group_by=user", "a delegate"),
        ("user=eve", "a delegate"),
        ("since=2026-11-01", "is unknown"),
        ("to=2026-11-01&to=2026-11-02", "twice"),
    ],
)
def test_what_can_not_be_answered_is_told(api: Service, query: str, said: str) -> None:
    answer = ask(api, query)
    assert answer.status_code == 400
    assert said in answer.json()["error"]["message"]


def test_token_needs_the_scope(api: Service) -> None:
    answer = ask(api, scopes=["chat"])
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "scope_not_allowed")
    assert ask(api, scopes=["usage"]).status_code == 200
    assert api.client.get("/v1/usage").status_code == 401
