"""`llamaq usage`, on a real Redis."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from click.testing import CliRunner, Result

from llamaq.__main__ import main

DAYS = {
    "2026-10-31": {"ann": "requests=1 prompt=10 cached=0 completion=5 slot_ms=1500"},
    "2026-11-01": {
        "ann": "requests=2 prompt=30 cached=9 completion=12 slot_ms=800",
        "%3Dweb|x": "requests=9",  # nobody's: there is no such tenant
        "webui": "requests=4 prompt=40 cached=0 completion=8 slot_ms=100 users=1",
    },
}
USERS = {"webui|eve%7C": "requests=3 prompt=30 cached=0 completion=6 slot_ms=60"}
PERIOD = "--from", "2026-10-01", "--to", "2026-11-30"


@pytest.fixture
def url(real_redis_url: str) -> Iterator[str]:
    with redis.Redis.from_url(real_redis_url) as client:
        client.flushall()
        client.zadd("llamaq:models", {"qwen3": 1})
        for day, fields in DAYS.items():
            client.hset(f"llamaq:{{qwen3}}:usage:{day}", mapping=fields)
        client.hdel("llamaq:{qwen3}:usage:2026-11-01", "%3Dweb|x")
        client.hset("llamaq:{qwen3}:usage:2026-11-01", "%3Dx", "requests=1")
        client.hset("llamaq:{qwen3}:usage_users:2026-11-01", mapping=USERS)
        yield real_redis_url
        client.flushall()


def usage(url: str, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["usage", *arguments], env={"LLAMAQ_REDIS_URL": url})


@pytest.mark.real
def test_usage_is_shown_by_tenant_or_by_day(url: str) -> None:
    assert usage(url, *PERIOD).stdout.splitlines()[1:3] == [
        "=x             1              0              0                  0           0.0",
        "ann            3             40              9                 17           2.3",
    ]
    (_, first, second, total) = usage(url, "ann", *PERIOD).stdout.splitlines()
    assert [line.split()[0] for line in (first, second, total)] == [
        "2026-10-31",
        "2026-11-01",
        "total",
    ]
    assert "Nothing was used from 2026-09-01 to" in usage(url, "--month", "2026-09").stdout


@pytest.mark.real
def test_usage_of_a_month_is_told_as_json_and_csv(url: str) -> None:
    month = "--month", "2026-11"
    found = json.loads(usage(url, *month, "--by", "model", "--json").stdout)
    assert (found["from"], found["to"]) == ("2026-11-01", "2026-11-30")
    assert found["data"] == [{"model": "qwen3", **found["total"]}]
    assert found["total"] == {
        "requests": 7,
        "prompt_tokens": 70,
        "cached_tokens": 9,
        "completion_tokens": 20,
        "slot_seconds": 0.9,
    }
    title, formula, *rest = usage(url, *month, "--csv").stdout.splitlines()
    assert title.startswith("tenant,requests,prompt_tokens,")
    assert formula == "'=x,1,0,0,0,0.0"
    assert rest == ["ann,2,30,9,12,0.8", "webui,4,40,0,8,0.1"]


@pytest.mark.real
def test_usage_by_user_also_tells_what_is_of_none(url: str) -> None:
    lines = usage(url, "webui", *PERIOD, "--by", "user", "--csv").stdout.splitlines()
    assert lines[1:] == ["webui,1,10,0,2,0.04", "webui/eve|,3,30,0,6,0.06"]


@pytest.mark.real
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--month", "2026-13"), "no month"),
        (("--month", "2026-11", "--to", "2026-11-02"), "--from and --to"),
        (("--from", "yesterday"), "no day"),
        (("--from", "2026-11-02", "--to", "2026-11-01"), "must not be after"),
        (("--from", "2020-01-01", "--to", "2026-11-01"), "400 days at most"),
    ],
)
def test_period_that_can_not_be_is_told(url: str, arguments: tuple[str, ...], said: str) -> None:
    wrong = usage(url, *arguments)
    assert wrong.exit_code != 0
    assert said in wrong.stderr


def test_redis_that_is_away_is_told(tmp_path: Path) -> None:
    away = usage(f"unix://{tmp_path}/none.sock")
    assert (away.exit_code, "LLAMAQ_REDIS_URL" in away.stderr) == (1, True)
