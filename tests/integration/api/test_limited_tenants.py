"""Limits of tenants and end users, held by two APIs on one Redis."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime

import pytest
from httpx import Response

from dispatcher.cost import Usage
from dispatcher.needs import COMPLETION, EMBEDDINGS
from dispatcher.tasks import cancel
from dispatcher.usage import today, usage_field, usage_of
from llamaq.tenant_work import list_all, remove
from testing.limited import Stage, stage
from testing.waiting import until

pytestmark = pytest.mark.real

MANY = 64


@pytest.fixture
async def two(real_redis_url: str) -> AsyncIterator[Stage]:
    async with stage(real_redis_url) as running:
        yield running


def statuses(answers: Iterable[Response]) -> dict[int, int]:
    return dict(Counter(answer.status_code for answer in answers))


async def use(two: Stage, tokens: int, model: str = "tiny") -> None:
    """The tenant has used so many tokens of a model today."""
    day = datetime.fromtimestamp((await two.redis.time())[0], UTC).date()
    place = usage_field(model, day, "ann")[1:]
    text = f"requests=1 prompt={tokens} cached=0 completion=0 slot_ms=1"
    await two.redis.hset(*place, text)


async def test_as_many_requests_pass_in_a_minute_as_may(two: Stage) -> None:
    await two.limit(requests_per_minute=60)
    answers = await two.many(MANY)
    assert statuses(answers) == {200: 60, 429: 4}
    lefts = sorted(
        int(answer.headers["x-ratelimit-remaining-requests"])
        for answer in answers
        if answer.status_code == 200
    )
    assert lefts == list(range(60))
    refused = next(answer for answer in answers if answer.status_code == 429)
    error = refused.json()["error"]
    assert (error["type"], error["code"]) == ("rate_limit_error", "rate_limited")
    assert re.fullmatch(
        r"You may send 60 requests a minute: try again in (1m0|5\ds?)s?\.", error["message"]
    )
    assert 50 <= int(refused.headers["retry-after"]) <= 60
    assert refused.headers["x-ratelimit-limit-requests"] == "60"
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"
    assert refused.headers["x-ratelimit-reset-requests"] in {
        "1m0s",
        *(f"{s}s" for s in range(50, 60)),
    }
    assert "x-should-retry" not in refused.headers
    assert (await two.chat(sub="bob")).status_code == 200
    await two.limit(requests_per_minute=0)
    answer = await two.chat()
    assert (answer.status_code, "x-ratelimit-limit-requests" in answer.headers) == (200, False)


async def test_as_many_are_open_as_may_be_and_places_come_back(two: Stage) -> None:
    await two.limit(concurrent=4, requests_per_minute=5)
    two.worker.open.clear()
    asked = [asyncio.create_task(two.chat(i % 2)) for i in range(MANY)]
    await until(lambda: asyncio.sleep(0, sum(task.done() for task in asked) == MANY - 4))
    refused = [task.result() for task in asked if task.done()]
    assert statuses(refused) == {429: 60}
    assert (
        refused[0].json()["error"]["message"].startswith("You may have 4 requests open at a time")
    )
    gone = [task for task in asked if not task.done()]
    gone[0].cancel()  # it ends in any other way
    await asyncio.wait(gone[:1])
    two.worker.open.set()
    assert statuses(await asyncio.gather(*gone[1:])) == {200: 3}
    # Neither those that were refused count, nor the one that no worker has begun.
    assert statuses([await two.chat(), await two.chat(1)]) == {200: 2}
    last = await two.chat(1)
    assert (last.status_code, "5 requests a minute" in last.text) == (429, True)
    assert await two.redis.zcard("llamaq:{tenant:ann}:open") == 0


async def test_request_that_the_queue_refuses_does_not_count(two: Stage) -> None:
    await two.limit(requests_per_minute=1)
    missing = await two.chat(fields={"model": "none"})
    bad = await two.chat(fields={"messages": []})
    assert (missing.status_code, bad.status_code) == (404, 400)
    assert statuses([await two.chat(), await two.chat()]) == {200: 1, 429: 1}


async def test_tokens_that_are_used_up_refuse_what_comes_and_what_waits(two: Stage) -> None:
    await two.limit(tokens_per_day=1000, requests_per_minute=9)
    await use(two, 900)
    answer = await two.chat()
    assert answer.headers["x-ratelimit-limit-tokens"] == "1000"
    assert answer.headers["x-ratelimit-remaining-tokens"] == "100"
    assert re.fullmatch(r"(\d+h)?(\d+m)?\d+s", answer.headers["x-ratelimit-reset-tokens"])
    await two.worker.join(1)
    two.worker.open.clear()
    asked = [asyncio.create_task(two.chat(i % 2)) for i in range(3)]
    await until(lambda: asyncio.sleep(0, len(two.worker.taken) == 2))
    await use(two, 1000)
    two.worker.open.set()  # its slot is free again, and nobody may have it
    answers = await asyncio.gather(*asked)
    assert statuses(answers) == {200: 1, 429: 2}
    answers.append(await two.chat())
    for refused in answers:
        if refused.status_code == 429:
            assert refused.json()["error"]["code"] == "rate_limited"
            assert "You may use 1000 tokens a day, and 1" in refused.json()["error"]["message"]
            assert refused.headers["x-ratelimit-remaining-tokens"] == "0"
            assert refused.headers["x-ratelimit-limit-requests"] == "9"
    assert await two.redis.zcard("llamaq:{tenant:ann}:requests") == 2
    assert len(two.worker.taken) == 2


async def test_no_more_is_used_beyond_a_limit_than_what_runs(two: Stage) -> None:
    slots, each = 4, 100
    await two.limit(tokens_per_day=1000)
    await two.worker.join(slots)
    two.worker.used = Usage(60, 40)
    answers = await two.many(MANY)
    begun = len(two.worker.taken)
    assert 10 <= begun < 10 + slots
    assert statuses(answers) == {200: begun, 429: MANY - begun}
    (row,) = await usage_of(two.redis, ["tiny"], [await today(two.redis)], "ann")
    assert (row.used.requests, row.used.tokens) == (begun, begun * each)


async def test_what_is_used_of_another_model_is_known_within_a_second(two: Stage) -> None:
    await two.redis.zadd("llamaq:models", {"other": (await two.redis.time())[0]})
    await two.limit(tokens_per_month=1000)
    await two.worker.join(1)
    two.worker.open.clear()
    running, waiting = [asyncio.create_task(two.chat(i)) for i in range(2)]
    await until(lambda: asyncio.sleep(0, len(two.worker.taken) == 1))
    await use(two, 1000, "other")
    done, _ = await asyncio.wait([running, waiting], timeout=8, return_when="FIRST_COMPLETED")
    (refused,) = done
    assert "You may use 1000 tokens a month" in refused.result().text
    two.worker.open.set()
    (other,) = {running, waiting} - done
    assert (await other).status_code == 200


async def test_end_users_have_limits_of_their_own(two: Stage) -> None:
    await two.limit("web/*", requests_per_minute=1, models=["tiny"])
    await two.limit("web/u3", requests_per_minute=2, models=["none"])
    await two.limit("web", requests_per_minute=3)
    seen = []
    for user in ("u1", "u1", "u2", "u3"):
        answer = await two.chat(sub="web", delegate=True, fields={"user": user})
        seen.append((answer.status_code, answer.headers.get("x-ratelimit-remaining-requests")))
    assert seen == [(200, "0"), (429, "0"), (200, "0"), (403, None)]
    plain = await two.chat(sub="web", delegate=True)
    assert (plain.status_code, plain.headers["x-ratelimit-remaining-requests"]) == (200, "0")
    refused = await two.chat(sub="web", delegate=True, fields={"user": "u4"})
    assert (refused.status_code, "You may send 3 requests" in refused.text) == (429, True)


async def test_claims_are_the_ceiling_and_shape_of_the_client_is_kept(two: Stage) -> None:
    await two.limit(requests_per_minute=9)
    about = {"path": "/v1/messages", "limits": {"requests_per_minute": 2, "concurrent": 5}}
    answers = [await two.chat(**about, fields={"max_tokens": 5}) for _ in range(3)]
    assert statuses(answers) == {200: 2, 429: 1}
    assert answers[0].headers["anthropic-ratelimit-requests-limit"] == "2"
    assert answers[0].headers["anthropic-ratelimit-requests-remaining"] == "1"
    assert answers[0].headers["anthropic-ratelimit-requests-reset"].endswith("Z")
    assert answers[2].json()["error"]["type"] == "rate_limit_error"
    assert answers[2].headers["retry-after"]


async def test_embeddings_count_as_one_request_and_are_refused(two: Stage) -> None:
    await two.worker.join(endpoints=f"{COMPLETION},{EMBEDDINGS}")
    await two.limit(requests_per_minute=2)
    inputs = {"input": ["a text " * 30] * 300}  # shared by several jobs
    assert (await two.chat()).status_code == 200
    two.worker.open.clear()
    asked = asyncio.create_task(two.chat(1, "/v1/embeddings", fields=inputs))
    await until(lambda: asyncio.sleep(0, len(two.worker.taken) > 2))
    refused = await two.chat(0, "/v1/embeddings", fields=inputs)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limited")
    assert refused.headers["x-ratelimit-limit-requests"] == "2"
    assert await two.redis.zcard("llamaq:{tenant:ann}:requests") == 2
    await cancel([asked])


async def test_limits_are_removed_and_listed_at_every_api_within_a_second(
    two: Stage, real_redis_url: str
) -> None:
    url = real_redis_url
    await two.limit(requests_per_minute=1)
    assert statuses(await two.many(4)) == {200: 1, 429: 3}
    assert await list_all(url) == {"ann": {"requests_per_minute": 1}}
    await remove("ann", "", url)
    assert await list_all(url) == {}
    await two.until_known()
    assert statuses(await two.many(8)) == {200: 8}


FORMS = [
    ("/v1/completions", {"prompt": "Hi"}, "x-ratelimit-{0}-requests"),
    ("/v1/responses", {"input": "Hi"}, "x-ratelimit-{0}-requests"),
    ("/tokenize", {"content": "Hi"}, "x-ratelimit-{0}-requests"),
    ("/v1/messages", {"max_tokens": 5}, "anthropic-ratelimit-requests-{0}"),
]


async def test_refusal_has_the_form_of_its_endpoint(two: Stage) -> None:
    await two.limit(requests_per_minute=1)
    assert (await two.chat()).status_code == 200
    for path, fields, name in FORMS:
        refused = await two.chat(path=path, fields=fields)
        assert (refused.status_code, refused.json()["error"]["type"]) == (429, "rate_limit_error")
        assert ("request_id" in refused.json()) is (path == "/v1/messages")
        told = [refused.headers[name.format(each)] for each in ("limit", "remaining")]
        assert (path, told) == (path, ["1", "0"])
        assert refused.headers[name.format("reset")]
        assert 50 <= int(refused.headers["retry-after"]) <= 60
