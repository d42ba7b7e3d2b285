"""Whatever a client gets wrong, it learns what, in OpenAI's error object, and nothing is queued."""

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
import redis

from testing.builders import make_chat, make_token
from testing.processes import api, llamaq
from tests.end_to_end.conftest import Fleet

pytestmark = pytest.mark.real

CHAT = "/v1/chat/completions"
LONGER = make_token(algorithm="HS512", secret="x" * 64)
UNSIGNED = jwt.encode({"sub": "me", "exp": int(time.time()) + 60}, None, algorithm="none")
DEEP = b'{"model":"tiny","messages":[{"role":"user","content":"Hi"}],"x":' + b"[" * 200 + b"]" * 200
REMOTE = [{"type": "image_url", "image_url": {"url": "http://10.0.0.1/secret.png"}}]

TOKENS: list[Any] = [
    pytest.param(None, "llamaq token create", id="none"),
    pytest.param("Basic bWU6bWU=", "Bearer", id="not a bearer token"),
    pytest.param("Bearer nonsense", "JSON Web Token", id="malformed"),
    pytest.param(f"Bearer {make_token(exp=1)}", "expired", id="expired"),
    pytest.param(f"Bearer {LONGER}", "HS256", id="wrong algorithm"),
    pytest.param(f"Bearer {UNSIGNED}", "HS256", id="alg none"),
    pytest.param(f"Bearer {make_token(secret='x' * 40)}", "sign", id="wrong secret"),
    pytest.param(f"Bearer {make_token(exp=None)}", "exp", id="no exp"),
    pytest.param(f"Bearer {make_token(sub=None)}", "sub", id="no sub"),
]

BODIES: list[Any] = [
    pytest.param(b"not json", 400, None, "JSON", id="not JSON"),
    pytest.param(b"[]", 400, None, "object", id="not an object"),
    pytest.param(DEEP + b"}", 400, None, "deep", id="too deep"),
    pytest.param(make_chat(model="gpt-4"), 404, None, "Served now: tiny", id="unknown model"),
    pytest.param(make_chat(model=5), 400, "model", "/v1/models", id="no name"),
    pytest.param(make_chat(messages=...), 400, "messages", "messages", id="no messages"),
    pytest.param(make_chat(messages=[]), 400, "messages", "messages", id="empty messages"),
    pytest.param(make_chat(n=1000), 400, "n", "from 1 to 8", id="n too large"),
    pytest.param(make_chat(stream="yes"), 400, "stream", "true or false", id="stream not a bool"),
    pytest.param(
        make_chat(messages=[{"role": "user", "content": REMOTE}]),
        400,
        ...,
        "data:",
        id="remote image",
    ),
]


@pytest.fixture(autouse=True)
def nothing_is_queued(fleet: Fleet) -> Iterator[None]:
    store = redis.Redis.from_url(fleet.redis_url)
    before = store.hget("llamaq:{tiny}:counters", "enqueued")
    yield
    assert store.hget("llamaq:{tiny}:counters", "enqueued") == before
    store.close()


def check(answer: httpx.Response, status: int, says: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    error: dict[str, Any] = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert says in error["message"]
    assert answer.headers["x-request-id"]
    return error


@pytest.mark.parametrize(("header", "says"), TOKENS)
def test_bad_token_is_told_what_is_wrong_with_it(
    fleet: Fleet, header: str | None, says: str
) -> None:
    headers = {"Authorization": header} if header else {}
    answer = httpx.post(f"{fleet.url}{CHAT}", content=make_chat(), headers=headers)
    check(answer, 401, says)
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_audience_and_issuer_are_checked_where_they_are_set(fleet: Fleet, tmp_path: Path) -> None:
    settings = {"jwt_audience": "llamaq", "jwt_issuer": "home"}
    with api(fleet.redis_url, tmp_path / "api.log", **settings) as (_, url):
        for claims, status in (
            ({"aud": "llamaq", "iss": "home"}, 200),
            ({"aud": "other", "iss": "home"}, 401),
            ({"iss": "home"}, 401),
            ({"aud": "llamaq", "iss": "elsewhere"}, 401),
        ):
            headers = {"Authorization": f"Bearer {make_token(**claims)}"}
            assert httpx.get(f"{url}/v1/models", headers=headers).status_code == status, claims


@pytest.mark.parametrize(("body", "status", "param", "says"), BODIES)
def test_bad_body_is_told_what_is_wrong_with_it(
    fleet: Fleet, body: bytes, status: int, param: Any, says: str
) -> None:
    with fleet.http() as client:
        error = check(client.post(CHAT, content=body), status, says)
    assert param in (..., error["param"])


def test_too_large_a_body_is_refused_before_it_is_read(fleet: Fleet, tmp_path: Path) -> None:
    with api(fleet.redis_url, tmp_path / "api.log", max_body_bytes="2000") as (_, url):
        headers = {"Authorization": f"Bearer {make_token()}"}
        large = make_chat(messages=[{"role": "user", "content": "x" * 3000}])
        check(httpx.post(f"{url}{CHAT}", content=large, headers=headers), 413, "2000")

        def chunks() -> Iterator[bytes]:
            yield large[:1500]
            yield large[1500:]

        check(httpx.post(f"{url}{CHAT}", content=chunks(), headers=headers), 413, "2000")


def test_unknown_path_and_wrong_method_are_error_objects_too(fleet: Fleet) -> None:
    with fleet.http() as client:
        check(client.get("/v2/nothing"), 404, "/v1/models")
        check(client.get(CHAT), 405, "GET")
        check(client.delete("/v1/models"), 405, "DELETE")


def test_secret_that_is_too_short_is_refused_at_start_with_all_other_mistakes() -> None:
    environment = {
        "LLAMAQ_JWT_SECRET": "short",
        "LLAMAQ_PORT": "0",
        "LLAMAQ_QUEUE_WAIT_S": "soon",
        "PATH": "/usr/bin:/bin",
    }
    ended = subprocess.run(
        llamaq("api"), env=environment, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 2
    for name in ("LLAMAQ_REDIS_URL", "LLAMAQ_JWT_SECRET", "LLAMAQ_PORT", "LLAMAQ_QUEUE_WAIT_S"):
        assert name in ended.stderr
    assert "openssl rand" in ended.stderr
    assert "short" not in ended.stderr


def test_error_bodies_are_plain_json(fleet: Fleet) -> None:
    with fleet.http() as client:
        answer = client.post(CHAT, content=b"{")
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(answer.content)
