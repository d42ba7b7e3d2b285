"""Requests with an `Idempotency-Key`: two APIs on one real Redis."""

import asyncio
import json
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest

from api.aside import LARGE_BYTES
from api.chat.request import parse_chat
from api.idempotency import key as key_module
from api.idempotency.keeping import MOST_KEPT_BYTES
from dispatcher.connection import LinkedRedis, open_redis
from dispatcher.frames import FROM_SCRIPT, Frame, Kind
from testing.builders import make_chat, make_form
from testing.waiting import until
from tests.unit.api.idempotency.apis import CHAT, Api, apis, words

STREAM = make_chat(stream=True)
FAILED = Frame(Kind.FAILED, FROM_SCRIPT, payload=b'{"code": "worker_failed", "message": "Lost."}')
LARGE = "x" * 100_000


@pytest.fixture
async def redis(real_redis_url: str) -> AsyncIterator[LinkedRedis]:
    client = open_redis(real_redis_url)
    await client.flushall()
    yield client
    await client.flushall()
    await client.aclose()


@pytest.fixture
async def two(redis: LinkedRedis) -> AsyncIterator[list[Api]]:
    async with apis(redis, 2) as running:
        yield running


def text_of(body: bytes) -> str:
    return str(json.loads(body)["choices"][0]["message"]["content"])


async def test_finished_answer_comes_again_from_any_api(two: list[Api]) -> None:
    one, other = two
    first = one.ask()
    await one.has_jobs(1)
    one.queue.say(*words("Hi"))
    await first.done()
    assert "idempotency-replayed" not in first.headers
    for api in two:
        again = await api.ask().done()
        assert (again.status, again.body) == (200, first.body)
        assert again.headers["idempotency-replayed"] == "true"
        assert again.headers["x-llamaq-original-request"] == first.headers["x-request-id"]
        assert again.headers["content-length"] == str(len(first.body))
        assert again.headers["x-llamaq-worker"] == first.headers["x-llamaq-worker"]
        assert again.is_over
    assert (len(one.queue.jobs), len(other.queue.jobs)) == (1, 0)


async def test_kept_stream_comes_again_without_its_comments(redis: LinkedRedis) -> None:
    async with apis(redis, 2, queue_position_after_s=0.05) as (one, other):
        first = one.ask(STREAM)
        await until(lambda: b": queued" in first.body)
        one.queue.say(*words("Hi", " there"))
        await first.done()
        again = await other.ask(STREAM).done()
        assert again.headers["content-type"] == "text/event-stream"
        assert again.body == b"".join(
            line for line in first.body.splitlines(keepends=True) if not line.startswith(b":")
        )
        assert again.body.startswith(b"data: ")
        assert again.body.endswith(b"data: [DONE]\n\n")


async def test_request_in_flight_is_joined_from_its_beginning(two: list[Api]) -> None:
    api = two[0]
    first = api.ask(STREAM)
    await api.has_jobs(1)
    frames = words("Hi", " there")
    api.queue.say(*frames[:2])
    await until(lambda: b"Hi" in first.body)
    second = api.ask(STREAM)
    await until(lambda: second.body == first.body)
    api.queue.say(*frames[2:])
    await asyncio.gather(first.done(), second.done())
    assert second.body == first.body
    assert second.headers["idempotency-replayed"] == "true"
    assert len(api.queue.jobs) == 1


async def test_request_in_flight_elsewhere_is_joined_when_it_is_done(redis: LinkedRedis) -> None:
    async with apis(redis, 2, queue_position_after_s=0.05) as (one, other):
        first, stream = one.ask(), one.ask(STREAM, key="s")
        await one.has_jobs(2)
        again, stream_again = other.ask(), other.ask(STREAM, key="s")
        await until(lambda: b": the same request is at work elsewhere\n" in stream_again.body)
        for job in range(2):
            one.queue.say(*words("Hi"), job=job)
        await asyncio.gather(*(each.done() for each in (first, stream, again, stream_again)))
        assert again.body == first.body
        assert stream_again.body.endswith(b"".join(stream.body.partition(b"data: ")[1:]))
        assert other.queue.jobs == []


async def test_another_request_with_the_key_is_refused(two: list[Api]) -> None:
    one, other = two
    first = one.ask()
    await one.has_jobs(1)
    for api in two:
        refused = await api.ask(make_chat(max_tokens=3)).done()
        assert (refused.status, json.loads(refused.body)["error"]["code"]) == (
            422,
            "idempotency_key_reused",
        )
    one.queue.say(*words("Hi"))
    await first.done()
    message = {"model": "tiny", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}
    refused = await other.ask(json.dumps(message).encode(), path="/v1/messages").done()
    assert refused.status == 422
    assert json.loads(refused.body)["type"] == "error"
    assert other.queue.jobs == []


async def test_keys_of_tenants_and_end_users_are_their_own(two: list[Api]) -> None:
    api = two[0]
    users: list[dict[str, object]] = [
        *({}, {"sub": "bob"}, {"sub": "ui", "delegate": True}),
    ]
    clients = [api.ask(**claims) for claims in users]
    for user in ("ann", "bob"):
        more = {"x-openwebui-user-id": user}
        clients.append(api.ask(more=more, sub="ui", delegate=True))
    await api.has_jobs(5)
    for job in range(5):
        api.queue.say(*words(f"answer {job}"), job=job)
    found = {text_of((await client.done()).body) for client in clients}
    assert len(found) == 5


@pytest.mark.parametrize("more", [{}, {"delegate": True}])
async def test_kept_answer_is_for_nobody_who_may_not_use_its_model(
    two: list[Api], more: dict[str, bool]
) -> None:
    """Before, the key alone gave the answer to a token of the same subject for other models."""
    one, other = two
    first = one.ask(models=["tiny"], **more)
    await one.has_jobs(1)
    joins = one.ask(models=["other"], **more)
    one.queue.say(*words("Hi"))
    assert (await first.done()).status == 200
    for client in (joins, other.ask(models=["other"], **more), one.ask(models=[], **more)):
        refused = json.loads((await client.done()).body)["error"]
        assert (client.status, refused["code"]) == (403, "model_not_allowed")
    assert (await other.ask(models=["other", "tiny"], **more).done()).body == first.body


async def test_replay_counts_for_no_limit(two: list[Api]) -> None:
    limits = {"limits": {"requests_per_minute": 1}}
    first = two[0].ask(**limits)
    await two[0].has_jobs(1)
    joins = two[0].ask(**limits)
    two[0].queue.say(*words("Hi"))
    for client in (first, joins, two[1].ask(**limits)):
        assert (await client.done()).status == 200
    assert (await two[1].ask(key="key-2", **limits).done()).status == 429


async def test_key_is_of_no_use_without_the_scope(two: list[Api]) -> None:
    first = two[0].ask()
    await two[0].has_jobs(1)
    joins = two[0].ask(scopes=["models"])
    two[0].queue.say(*words("Hi"))
    await first.done()
    for client in (joins, two[1].ask(scopes=["models"])):
        assert (await client.done()).status == 403


async def test_large_request_that_waits_for_another_api_is_read_beside_the_event_loop(
    redis: LinkedRedis,
) -> None:
    body, beside = make_chat(stream=True, user="x" * LARGE_BYTES), []
    async with apis(redis, 2, queue_position_after_s=0.01) as (one, other):
        aside = other.app.state.context.aside
        aside.run = partial(_noted, aside.run, beside)
        first = one.ask(body)
        await one.has_jobs(1)
        second = other.ask(body)
        await until(lambda: second.status)
        one.queue.say(*words("Hi"))
        await first.done()
        await second.done()
    assert beside.count(parse_chat) == 1


async def test_large_requests_with_keys_are_read_tenant_by_tenant(two: list[Api]) -> None:
    """Before, many of one tenant stood in the thread's line before those of all others."""
    api, alone = two[0], []
    aside = api.app.state.context.aside
    gate = aside.alone
    aside.alone = lambda tenant, size: alone.append((tenant, size)) or gate(tenant, size)
    body = make_chat(messages=[{"role": "user", "content": "x" * LARGE_BYTES}])
    api.ask(body, sub="ui", delegate=True)
    await until(lambda: len(alone) == 2)
    assert alone == [("ui", len(body))] * 2


async def _noted(run: Any, beside: list[Any], size: int, work: Any, *values: Any) -> Any:
    beside.append(work)
    return await run(size, work, *values)


async def test_request_goes_on_while_somebody_waits_and_ends_when_nobody_does(
    two: list[Api],
) -> None:
    one, other = two
    first = one.ask(STREAM)
    await one.has_jobs(1)
    second, third = one.ask(STREAM), other.ask(STREAM)
    await until(lambda: other.once._recordings)
    await asyncio.sleep(0.05)
    first.leave()
    await asyncio.sleep(0.05)
    second.leave()
    await second.done()
    await asyncio.sleep(0.05)
    assert one.queue.closed == []
    one.queue.say(*words("Hi"))
    assert b"Hi" in (await third.done()).body
    await first.done()


async def test_request_that_nobody_waits_for_ends_and_its_key_is_free(two: list[Api]) -> None:
    one, other = two
    first = one.ask(STREAM)
    await one.has_jobs(1)
    first.leave()
    await first.done()
    assert len(one.queue.closed) == 1
    again = other.ask(STREAM)
    await other.has_jobs(1)
    other.queue.say(*words("Hi"))
    assert b"Hi" in (await again.done()).body
    assert "idempotency-replayed" not in again.headers


@pytest.mark.parametrize("body", [make_chat(), STREAM])
async def test_failure_is_not_kept(two: list[Api], body: bytes) -> None:
    one, other = two
    first = one.ask(body)
    await one.has_jobs(1)
    second = one.ask(body)
    if body == STREAM:
        one.queue.say(*words("Hi", done=False))
        await until(lambda: second.body)
    one.queue.say(FAILED)
    await asyncio.gather(first.done(), second.done())
    assert b"Lost." in first.body
    assert b"Lost." in second.body
    assert first.status == second.status == (200 if body == STREAM else 502)
    again = other.ask(body)
    await other.has_jobs(1)
    other.queue.say(*words("Hi"))
    assert (await again.done()).status == 200


async def test_bad_request_leaves_its_key_free(two: list[Api]) -> None:
    api = two[0]
    assert (await api.ask(b"{").done()).status == 400
    assert (await api.ask(make_chat(temperature="hot")).done()).status == 400
    good = api.ask()
    await api.has_jobs(1)
    api.queue.say(*words("Hi"))
    assert (await good.done()).status == 200


@pytest.mark.parametrize("key", ["", "x" * 256, "a\x7f", "ä"])
async def test_key_that_is_none_is_refused(two: list[Api], key: str) -> None:
    refused = await two[0].ask(key=key).done()
    assert refused.status == 400
    assert json.loads(refused.body)["error"]["param"] == "Idempotency-Key"


async def test_answer_over_a_mebibyte_is_not_kept_and_says_so(two: list[Api]) -> None:
    one, other = two
    first = one.ask()
    await one.has_jobs(1)
    one.queue.say(*words(*[LARGE] * 11))
    await first.done()
    assert len(first.body) > MOST_KEPT_BYTES
    assert first.headers["x-llamaq-not-kept"] == "too-large"
    again = other.ask()
    await other.has_jobs(1)
    other.queue.say(*words("Hi"))
    assert text_of((await again.done()).body) == "Hi"


async def test_stream_over_a_mebibyte_says_so_in_a_comment_and_its_key_is_free(
    two: list[Api],
) -> None:
    api = two[0]
    first = api.ask(STREAM)
    await api.has_jobs(1)
    second = api.ask(STREAM)
    await api.has_followers(2)
    frames = words(*[LARGE] * 12)
    api.queue.say(*frames[:-1])
    await until(lambda: b": x-llamaq-not-kept: too-large\ndata: " in first.body)
    third = api.ask(STREAM)
    await api.has_jobs(2)
    api.queue.say(frames[-1], job=0)
    api.queue.say(*words("Hi"), job=1)
    bodies = [(await client.done()).body for client in (first, second, third)]
    assert bodies[0] == bodies[1]
    assert bodies[0].count(LARGE.encode()) == 12
    assert b"Hi" in bodies[2]


async def test_client_that_reads_slowly_holds_up_no_other(redis: LinkedRedis) -> None:
    async with apis(redis, 1, client_buffer_bytes=2**17) as (api,):
        first = api.ask(STREAM)
        await api.has_jobs(1)
        second = api.ask(STREAM)
        await api.has_followers(2)
        first.is_paused.clear()
        frames = words(*["x" * 10_000] * 60)
        for frame in frames:
            api.queue.say(frame)
            await asyncio.sleep(0)
        await second.done()
        assert second.body.endswith(b"[DONE]\n\n")
        first.is_paused.set()
        await first.done()
        assert not first.is_over


async def test_redis_that_is_away_at_the_end_costs_nobody_the_answer(
    two: list[Api], redis: LinkedRedis, caplog: pytest.LogCaptureFixture
) -> None:
    api = two[0]
    first = api.ask()
    await api.has_jobs(1)
    await redis.link.close()
    api.queue.say(*words("Hi"))
    assert text_of((await first.done()).body) == "Hi"
    assert "is not kept" in caplog.text


async def test_api_that_dies_leaves_its_key_to_the_next_one(
    two: list[Api], redis: LinkedRedis
) -> None:
    one, other = two
    first = one.ask()
    await one.has_jobs(1)
    again = other.ask()
    await asyncio.sleep(0.03)
    assert other.queue.jobs == []
    (key,) = await redis.keys("llamaq:kept:*:answer:*")
    await redis.delete(key)  # as its lease would have it
    await other.has_jobs(1)
    other.queue.say(*words("Hi"))
    assert text_of((await again.done()).body) == "Hi"
    one.queue.say(*words("late"))
    assert text_of((await first.done()).body) == "late"
    assert text_of((await one.ask().done()).body) == "Hi"


async def test_waiting_stream_that_has_begun_tells_of_the_failure_in_its_form(
    redis: LinkedRedis,
) -> None:
    async with apis(redis, 2, queue_position_after_s=0.03) as (one, other):
        first = one.ask(STREAM)
        await one.has_jobs(1)
        again = other.ask(STREAM)
        await until(lambda: again.body)
        one.queue.say(FAILED)
        await first.done()
        await other.has_jobs(1)  # it runs the request itself
        other.queue.say(FAILED)
        await again.done()
        assert b'data: {"error"' in again.body


async def test_api_that_stops_lets_those_go_who_wait_for_another(two: list[Api]) -> None:
    one, other = two
    first = one.ask()
    await one.has_jobs(1)
    again = other.ask()
    await until(lambda: other.once._recordings)
    other.pulse.end()
    assert (await again.done()).status == 503
    one.queue.say(*words("Hi"))
    await first.done()


async def test_form_that_is_sent_again_has_another_boundary(two: list[Api]) -> None:
    sound = b"RIFF" + bytes(40)
    form = make_form({"model": "tiny"}, file=sound)
    forms = [form, form.replace(b"--b\r\n", b"--c\r\n").replace(b"--b--", b"--c--")]
    names = {key_module.fingerprint_of("/v1/audio/transcriptions", each) for each in forms}
    assert len(names) == 1
    assert key_module.fingerprint_of(CHAT, forms[0]) not in names
