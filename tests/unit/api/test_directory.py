"""Which models are served, which are waited for, and which are not known."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from api.directory import Directory
from api.errors import ApiError
from api.waiting import check_model
from dispatcher.aliases import remove_alias, set_alias
from dispatcher.commands import Commands
from dispatcher.connection import open_redis
from dispatcher.errors import ModelNotFound, ModelUnavailable, RedisUnavailable
from dispatcher.job import Job
from dispatcher.keys import MODELS, Keys
from dispatcher.needs import Needs
from dispatcher.orders import drain, resume
from dispatcher.worker import WorkerFacts, WorkerSession
from testing.relay import relay_to

# On the fake the scripts of those that join take ten times as long.
pytestmark = pytest.mark.parametrize("redis_url", ["real"], indirect=True)


def facts(model: str, modalities: str = "") -> WorkerFacts:
    return WorkerFacts(model, "http://server", "healthy", 1024, "b1", "f", modalities)


async def join(redis: Redis, model: str, modalities: str = "") -> WorkerSession:
    session = WorkerSession("w", Commands(redis, Keys(model)), lease_s=4)
    await session.register(2, True, facts(model, modalities))
    return session


async def join_as(redis: Redis, model: str, worker: str, aliases: str) -> WorkerSession:
    session = WorkerSession(worker, Commands(redis, Keys(model)), lease_s=4)
    await session.register(2, True, replace(facts(model), aliases=aliases))
    return session


async def seen(redis: Redis, model: str, seconds_ago: float) -> None:
    now, _ = await redis.time()
    await redis.zadd(MODELS, {model: float(now) - seconds_ago})


async def test_empty_registry_can_not_tell_that_a_model_was_never_served(redis: Redis) -> None:
    """An API that starts after Redis lost its data, and before the workers have joined again."""
    with pytest.raises(ModelUnavailable):
        await Directory(redis, grace_s=30).require("m")


async def test_model_of_a_live_worker_is_served(redis: Redis) -> None:
    directory = Directory(redis, grace_s=30)
    await join(redis, "m")
    await directory.require("m")
    assert directory.serves("m")
    assert not directory.given_up("m", waited_s=1000)


async def test_unknown_model_is_not_found_and_the_message_names_the_known_ones(
    redis: Redis,
) -> None:
    await join(redis, "m")
    with pytest.raises(ModelNotFound, match="Served now: m"):
        await Directory(redis, grace_s=30).require("other")


async def test_model_seen_within_a_minute_is_waited_for_until_the_grace_time_is_over(
    redis: Redis,
) -> None:
    directory = Directory(redis, grace_s=30)
    await seen(redis, "m", seconds_ago=40)
    await directory.require("m")
    assert not directory.given_up("m", waited_s=29)
    assert directory.given_up("m", waited_s=31)


async def test_model_not_seen_for_long_is_unavailable_at_once(redis: Redis) -> None:
    await seen(redis, "m", seconds_ago=120)
    with pytest.raises(ModelUnavailable):
        await Directory(redis, grace_s=30).require("m")


async def test_media_are_refused_while_workers_live_that_take_none_of_them(redis: Redis) -> None:
    directory, seeing = Directory(redis, grace_s=30), Needs(frozenset({"vision"}))
    await directory.require_able("m", seeing)
    await join(redis, "m", "audio")
    await directory.refresh()
    with pytest.raises(ApiError, match="takes images"):
        await directory.require_able("m", seeing)
    await join(redis, "m", "audio,vision")
    await directory.require_able("m", seeing)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("embeddings", "serves embeddings: start its llama-server with --embeddings, and"),
        ("native-embeddings", "serves embeddings: start its llama-server with --embeddings."),
        ("rerank", "serves rerank: start its llama-server with --reranking, and"),
        ("infill", "fills in the middle of a text: "),
        ("completion", "makes text: choose another model"),
    ],
)
async def test_endpoint_that_no_worker_serves_is_not_supported(
    redis: Redis, word: str, said: str
) -> None:
    directory, needs = Directory(redis, grace_s=30), Needs(frozenset({word}))
    session = await join(redis, "m", "vision")
    await directory.refresh()
    with pytest.raises(ApiError, match=f"No worker of the model 'm' {said}") as raised:
        await directory.require_able("m", needs)
    assert (raised.value.status, raised.value.code) == (501, "not_supported")
    await session.renew(2, True, replace(facts("m"), endpoints=f"audio,{word}"), {})
    await directory.require_able("m", needs)


async def test_worker_makes_text_unless_it_tells_otherwise(redis: Redis) -> None:
    directory = Directory(redis, grace_s=30)
    session = await join(redis, "m")
    for endpoints, makes_text in (("", True), ("embeddings", False), ("completion,rerank", True)):
        await session.renew(2, True, replace(facts("m"), endpoints=endpoints), {})
        await directory.refresh()
        assert directory.makes_text("m") is makes_text


async def test_mean_answer_is_unknown_until_there_was_one(redis: Redis) -> None:
    directory = Directory(redis, grace_s=30)
    await join(redis, "m")
    await directory.refresh()
    assert directory.mean_completion("m") == directory.mean_completion("other") == 0
    await redis.hset(Keys("m").named("counters"), "mean_completion_tokens", "99.5")
    await directory.refresh()
    assert directory.mean_completion("m") == 99.5


async def test_model_that_redis_has_forgotten_is_waited_for_too(redis: Redis) -> None:
    directory = Directory(redis, grace_s=30)
    await join(redis, "m")
    await directory.refresh()
    await redis.flushall()
    await directory.refresh()
    await directory.require("m")
    assert not directory.serves("m")
    assert not directory.given_up("m", waited_s=29)


async def test_nobody_is_given_up_before_workers_could_come_back_from_an_outage_of_redis(
    redis: Redis, redis_url: str, tmp_path: Path
) -> None:
    async with relay_to(redis_url, tmp_path / "relay.sock") as relay:
        client = open_redis(relay.url)
        directory = Directory(client, grace_s=30)
        await seen(redis, "m", seconds_ago=40)
        await directory.refresh()
        assert directory.given_up("m", waited_s=40)
        relay.cut_next_reply()
        with pytest.raises(RedisUnavailable):
            await directory.refresh()
        await directory.refresh()
        assert not directory.given_up("m", waited_s=40)
        await client.aclose()


async def test_all_who_share_a_look_hear_that_redis_is_away(redis_url: str, tmp_path: Path) -> None:
    """Else an API that has just begun takes the nothing that it knows for the truth."""
    async with relay_to(redis_url, tmp_path / "relay.sock") as relay:
        client = open_redis(relay.url)
        directory = Directory(client, grace_s=1)
        relay.cut_next_reply(times=2)  # the third one shares the look of the second
        looks = [directory.refresh() for _ in range(3)]
        found = await asyncio.gather(*looks, return_exceptions=True)
        await directory.refresh()
        await client.aclose()
    assert [type(each) for each in found] == [RedisUnavailable] * 3


async def test_request_by_any_name_goes_to_the_model(redis: Redis) -> None:
    await join_as(redis, "m", "w1", "org/m /models/m.gguf")
    await join_as(redis, "m", "w2", "fast")
    directory = Directory(redis, grace_s=30)
    names = ["m", "org/m", "/models/m.gguf", "fast"]
    assert [await directory.require(name) for name in names] == ["m"] * 4
    with pytest.raises(
        ModelNotFound, match=r"Served now: m \(also /models/m.gguf, fast, org/m\)\."
    ):
        await directory.require("models/m.gguf")


async def test_operators_names_are_read_with_the_registry_in_one_command(redis: Redis) -> None:
    await join_as(redis, "m", "w", "fast")
    directory = Directory(redis, grace_s=30, aliases={"small": "m", "gpt-4o": "other"})
    assert await directory.require("small") == "m"
    await set_alias(redis, "gpt-4o", "fast")
    await directory.refresh()
    asked, call = list[str](), redis.link.call

    def count(*words: Any) -> Any:
        asked.append(words[0])
        return call(*words)

    redis.link.call = count
    await directory.refresh()
    assert asked[:2] == ["TIME", "HGETALL"]
    assert len(asked) == 10  # one each for aliases and invitations; a model with one worker
    assert await directory.require("gpt-4o") == "m"
    assert directory.models["m"].aliases == ("fast", "gpt-4o", "small")
    await remove_alias(redis, "gpt-4o")
    await directory.refresh()
    with pytest.raises(ModelNotFound, match=r"model 'other', of which 'gpt-4o' is an alias\. Se"):
        await directory.require("gpt-4o")


async def test_default_that_was_just_set_is_found(redis: Redis) -> None:
    directory = Directory(redis, grace_s=30)
    for model in ("m", "n"):
        await join(redis, model)
    with pytest.raises(ModelNotFound):
        await directory.require("gpt-4o")
    with pytest.raises(ApiError, match="Name a model"):
        await directory.require("")
    await set_alias(redis, "*", "n")
    assert [await directory.require(name) for name in ("gpt-4o", "", "m")] == ["n", "n", "m"]


async def test_workers_of_one_name_that_differ_are_told_when_that_begins(
    redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    directory = Directory(redis, grace_s=30, aliases={"m": "n"})
    session = await join_as(redis, "m", "w1", "")
    other = WorkerSession("w2", Commands(redis, Keys("m")), lease_s=4)

    async def warned() -> list[str]:
        caplog.clear()
        for _ in range(2):
            await directory.refresh()
        return [line.getMessage() for line in caplog.records if line.levelname == "WARNING"]

    (hidden,) = await warned()
    assert hidden.startswith("'m' is an operator's alias for 'n', which gets its requests")
    quantised = replace(facts("m"), fingerprint="0123456789", quantisation="Q8_0\n")
    await other.register(2, True, replace(quantised, build="b2"))
    (differs,) = await warned()
    assert differs.startswith(
        "Workers of the model 'm' differ in their llama.cpp build: "
        "01234567 (Q8_0_, b2): w2; f (b1): w1. "
    )
    await other.leave(quantised)
    await redis.zrem(Keys("m").named("workers"), "w2")
    assert await warned() == []
    other.end_epoch()
    await other.register(2, True, replace(quantised, server_id="s2"))
    await session.renew(2, True, replace(facts("m"), quantisation="Q4_0"), {})
    (again,) = await warned()
    assert "differ in their weights: " in again


async def test_new_name_is_looked_for_before_it_is_refused(redis: Redis) -> None:
    directory = Directory(redis, grace_s=30)
    session = await join_as(redis, "m", "w", "")
    await directory.refresh()
    await session.renew(2, True, replace(facts("m"), aliases="new"), {})
    assert await directory.require("new") == "m"


@pytest.mark.parametrize("forgets", ["nothing", "the worker", "everything", "the API"])
async def test_name_stays_known_while_its_workers_are_away(redis: Redis, forgets: str) -> None:
    directory = Directory(redis, grace_s=30)
    session = await join_as(redis, "m", "w", "org/m")
    await directory.refresh()
    await session.leave(replace(facts("m"), aliases="org/m"))
    if forgets == "the worker":
        await redis.delete(Keys("m").named("worker", "w"))
    elif forgets == "everything":
        await redis.flushall()
    elif forgets == "the API":
        directory = Directory(redis, grace_s=30)
    await directory.refresh()
    assert await directory.require("org/m") == "m"
    assert not directory.serves("m")


async def test_name_stays_known_while_only_workers_are_there_that_lack_it(redis: Redis) -> None:
    await join_as(redis, "m", "w1", "fast")
    await join_as(redis, "m", "w2", "")
    await redis.zadd(Keys("m").named("workers"), {"w1": 1})
    assert await Directory(redis, grace_s=30).require("fast") == "m"


async def test_name_of_two_models_goes_to_the_first_and_is_told_once(
    redis: Redis, written: pytest.LogCaptureFixture
) -> None:
    directory = Directory(redis, grace_s=30)
    for model in ("b", "a"):
        await join_as(redis, model, "w", "chat a")
    for _ in range(3):
        await directory.refresh()
        assert await directory.require("chat") == "a"
    assert await directory.require("a") == "a"
    told = [line.getMessage() for line in written.records if line.levelname == "WARNING"]
    assert sorted(told) == [
        "'a' is a name of a, b: 'a' gets its requests. Give the others another --alias.",
        "'chat' is a name of a, b: 'a' gets its requests. Give the others another --alias.",
    ]


async def test_model_whose_workers_are_drained_is_waited_for_like_one_without(redis: Redis) -> None:
    directory = Directory(redis, grace_s=30)
    await join(redis, "m")
    await drain(redis, "w")
    await directory.refresh()
    await directory.require("m")  # it may be resumed within the grace time
    assert not directory.serves("m")
    assert not directory.given_up("m", waited_s=29)
    directory._back_at = float("-inf")
    assert directory.given_up("m", waited_s=31)
    assert "drained or paused" in directory.unavailable("m").message
    await resume(redis, "w")
    await directory.refresh()
    assert directory.serves("m")


async def test_what_only_a_drained_worker_can_do_is_unavailable_and_not_impossible(
    redis: Redis,
) -> None:
    directory, images = Directory(redis, grace_s=30), Needs(frozenset({"vision"}))
    session = WorkerSession("seer", Commands(redis, Keys("m")), lease_s=4)
    await session.register(2, True, replace(facts("m", "vision"), server_id="other"))
    await join(redis, "m")
    await drain(redis, "seer")
    await directory.refresh()
    await directory.require_able("m", images)
    assert not directory.lacks("m", images, waited_s=29)
    assert directory.lacks("m", images, waited_s=31)
    job = Job("j", "m", "ann", b"", frozenset(), 60, 60, needs=images)
    with pytest.raises(ModelUnavailable, match="could serve this are drained or paused"):
        check_model(job, directory, waited_s=31)
