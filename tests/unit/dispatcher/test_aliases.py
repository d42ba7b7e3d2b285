"""The names that operators give to models, and what a model is, as Redis keeps them."""

import pytest
from redis.asyncio import Redis

from dispatcher.aliases import (
    MOST_ALIASES,
    BadAlias,
    check_alias,
    parse_aliases,
    read_aliases,
    remove_alias,
    set_alias,
)
from dispatcher.commands import Commands
from dispatcher.registry import read_models
from dispatcher.worker import WorkerFacts, WorkerSession
from testing.desk import Desk

KEY = "llamaq:aliases"


@pytest.mark.parametrize(
    "name", ["", " ", " a", "a\n", "a\x00", "\x7f", "\u2028", "\udc80", "x" * 257]
)
def test_what_can_be_no_name_is_refused(name: str) -> None:
    for pair in ((name, "m"), ("m", name)):
        with pytest.raises(BadAlias, match="1 to 256 characters"):
            check_alias(*pair)


@pytest.mark.parametrize(("name", "said"), [("m", "alias of itself"), ("*", "any other name")])
def test_alias_leads_to_another_name(name: str, said: str) -> None:
    with pytest.raises(BadAlias, match=said):
        check_alias("m" if name == "m" else "a", name)


@pytest.mark.parametrize("name", ["gpt-4o", "*", "org/qwen", "Qwen 3", "x" * 256, "modèle"])
def test_other_names_can_be(name: str) -> None:
    check_alias(name, "m")


@pytest.mark.parametrize(
    ("text", "said"),
    [("a", "NAME=MODEL"), ("=m", "''"), ("a=", "''"), ("a=a", "itself"), ("a=b,a=c", "two models")],
)
def test_setting_that_says_no_alias_is_refused(text: str, said: str) -> None:
    with pytest.raises(BadAlias, match=said):
        parse_aliases(text)


async def test_alias_is_set_changed_and_removed(redis: Redis) -> None:
    await set_alias(redis, "gpt-4o", "qwen3")
    await set_alias(redis, "gpt-4o", "tiny")
    assert await redis.hgetall(KEY) == {b"gpt-4o": b"tiny"}
    assert await read_aliases(redis) == {"gpt-4o": "tiny"}
    assert [await remove_alias(redis, "gpt-4o") for _ in range(2)] == [True, False]
    assert await read_aliases(redis) == {}


async def test_there_are_never_too_many(redis: Redis) -> None:
    await redis.hset(KEY, mapping={f"a{i}": "m" for i in range(MOST_ALIASES)})
    await set_alias(redis, "a7", "n")
    with pytest.raises(BadAlias, match="remove one first"):
        await set_alias(redis, "b", "m")


async def test_what_is_damaged_is_left_out(redis: Redis, caplog: pytest.LogCaptureFixture) -> None:
    await redis.hset(KEY, mapping={"a": "m", "b": "", "c\n": "m", b"\xff\n": "m"})
    assert await read_aliases(redis) == {"a": "m"}
    await redis.delete(KEY)
    await redis.set(KEY, "x")
    assert await read_aliases(redis) == {}
    assert "llamaq:aliases can't be read" in caplog.text


async def test_model_knows_since_when_it_is_served_and_what_its_weights_are(desk: Desk) -> None:
    session = WorkerSession("w", Commands(desk.redis, desk.keys), 10)
    facts = WorkerFacts(
        *("tiny", "http://server", "healthy", 2048, "b1", "f1"),
        **{"quantisation": "Q4_K - Medium", "size_bytes": 4_900_000_000},
        **{"parameters": 8_000_000_000, "trained_context": 40960},
    )
    now = int((await desk.redis.time())[0])
    await session.register(2, True, facts)
    (model,) = await read_models(desk.redis)
    assert now <= model.first_served_s <= now + 5
    (worker,) = model.workers
    told = worker.quantisation, worker.size_bytes, worker.parameters, worker.trained_context
    assert told == ("Q4_K - Medium", 4_900_000_000, 8_000_000_000, 40960)
    counters = desk.keys.named("counters")
    await desk.redis.hset(counters, "first_served_s", 5)
    session.end_epoch()
    await session.register(2, True, facts)
    (model,) = await read_models(desk.redis)
    assert model.first_served_s == 5
    await desk.redis.hdel(counters, "first_served_s")
    await session.renew(2, True, facts, {})  # says nothing more than it must
    assert await desk.redis.hget(counters, "first_served_s") is None
