"""What one tenant learns of another one's prompts from the caches that they share."""

import json
import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from testing.builders import make_token
from testing.processes import answers, api
from testing.waiting import wait_until
from tests.end_to_end.conftest import Fleet

pytestmark = pytest.mark.real

TELLING = re.compile(
    r'"(?:timings|prompt_progress|timings/\w+)":|"(?:cached_tokens|cache_read_input_tokens)":[1-9]'
    r'|"id_slot":\d'
)
MOST = {"/completion": "n_predict", "/infill": "n_predict", "/v1/responses": "max_output_tokens"}


@pytest.fixture(scope="module")
def isolated(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of another API of the same fleet, which isolates."""
    log = tmp_path_factory.mktemp("isolated") / "api.log"
    with api(fleet.redis_url, log, isolate_cache="1") as (_, url):
        wait_until(lambda: answers(f"{url}/ready"))
        yield url


def of(path: str, text: str) -> dict[str, Any]:
    """A request that has this text."""
    if path in ("/v1/completions", "/completion"):
        return {"prompt": text}
    if path == "/infill":
        return {"input_prefix": text, "input_suffix": "\n", "prompt": ""}
    if path == "/v1/responses":
        return {"input": text}
    return {"messages": [{"role": "user", "content": text}]}


def ask(url: str, tenant: str, path: str, text: str, **fields: Any) -> str:
    """All that the tenant is told."""
    fields |= {MOST.get(path, "max_tokens"): 8, "model": "tiny", **of(path, text)}
    headers = {"Authorization": f"Bearer {make_token(sub=tenant)}"}
    response = httpx.post(url + path, json=fields, headers=headers, timeout=60)
    assert response.status_code == 200, response.text
    return response.text


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "path",
    [
        *("/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"),
        *("/completion", "/infill"),
    ],
)
def test_isolated_answers_tell_nothing_of_caches(
    fleet: Fleet, isolated: str, path: str, stream: bool
) -> None:
    """M5: at d26fdb4 `cached_tokens` told how much of another tenant's prompt one had guessed."""
    text = f"{uuid4()} is the secret. " * 4
    asked: dict[str, Any] = {"stream": stream}
    if stream and path != "/v1/messages":
        asked |= {"return_progress": True, "timings_per_token": True}
    if stream and path in ("/v1/chat/completions", "/v1/completions"):
        asked["stream_options"] = {"include_usage": True}
    for _ in fleet.servers:  # now all of them may have it
        ask(fleet.url, "victim", path, text)
    told = ask(isolated, "thief", path, text, **asked)
    assert not TELLING.search(told), told
    assert TELLING.search(ask(fleet.url, "thief", path, text, **asked))


def test_usage_of_an_isolated_tenant_tells_no_cached_tokens(fleet: Fleet, isolated: str) -> None:
    tenant, text = f"user-{uuid4()}", "Once upon a time there was a fox. " * 4
    for _ in range(2):
        ask(isolated, tenant, "/v1/chat/completions", text)
    headers = {"Authorization": f"Bearer {make_token(sub=tenant)}"}
    own, open_ = [
        httpx.get(f"{url}/v1/usage", headers=headers).json()["total"]
        for url in (isolated, fleet.url)
    ]
    assert (own["cached_tokens"], own["requests"]) == (0, 2)
    assert own["prompt_tokens"] == open_["prompt_tokens"] > 100
    assert open_["cached_tokens"] > 0


def test_isolated_message_tells_all_of_its_prompt_as_input(fleet: Fleet, isolated: str) -> None:
    text = f"{uuid4()} " * 5
    plain, own = [
        json.loads(ask(url, "ann", "/v1/messages", text))["usage"] for url in (fleet.url, isolated)
    ]
    whole = plain["input_tokens"] + plain["cache_read_input_tokens"]
    assert (own["input_tokens"], own["cache_read_input_tokens"]) == (whole, 0)
