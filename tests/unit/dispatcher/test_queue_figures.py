"""What Redis tells of its queues at a scrape."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from dispatcher.connection import LinkedRedis, open_redis
from dispatcher.metrics_text import metrics_text
from dispatcher.model_state import ModelState
from dispatcher.queue_figures import MOST_MODELS, read_figures
from dispatcher.worker_state import WorkerState
from testing.desk import Desk
from testing.scraped import Scraped


def a_model(*workers: WorkerState, model: str = "tiny") -> ModelState:
    return ModelState(model, 0, workers, queued=3, queued_bytes=500)


def a_worker(
    health: str = "healthy", *, accepting: bool = True, breaker: str = "closed"
) -> WorkerState:
    return WorkerState("w", "http://s", health, accepting, 4, 1, 100, "", breaker=breaker)


@pytest.fixture
async def real_desk(real_redis_url: str) -> AsyncIterator[Desk]:
    """The fake knows no INFO."""
    redis = open_redis(real_redis_url)
    await redis.flushall()
    desk = Desk(redis)
    await desk.heartbeat("a")
    yield desk
    await redis.flushall()
    await redis.aclose()


async def figures(redis: LinkedRedis, *models: ModelState) -> Scraped:
    text, _ = metrics_text(await read_figures(redis, models))
    return Scraped(text.decode())


async def test_jobs_are_counted_by_tier_and_the_oldest_of_all_tenants_and_classes_is_told(
    desk: Desk,
) -> None:
    await desk.enqueue("old", tenant="zoe", tier="flex")
    desk.later(2000)
    await desk.enqueue("new", tenant="ann", tier="flex", class_="vision")
    await desk.enqueue("urgent", tier="priority")
    desk.later(1000)
    rows = await desk.commands.waiting_by_tier(["priority", "default", "flex"])
    assert [jobs for jobs, _ in rows] == [1, 0, 2]
    assert [ms // 1000 for _, ms in rows] == [1, 0, 3]


async def test_script_writes_nothing(desk: Desk) -> None:
    await desk.enqueue("one")
    before = await desk.everything()
    await desk.commands.waiting_by_tier(["default"])
    assert await desk.everything() == before


async def test_models_and_workers_are_told(real_desk: Desk) -> None:
    real_desk.later(-3000)
    await real_desk.enqueue("one")
    strange, drained = a_worker("<b>", accepting=False), a_worker(accepting=False)
    workers = a_worker(), a_worker(breaker="open"), strange, replace(drained, drained_s=1)
    told = await figures(real_desk.redis, a_model(*workers))
    assert told.sum("llamaq_queued_jobs", model="tiny", tier="default") == 1
    assert 3 <= told.sum("llamaq_oldest_queued_job_age_seconds", model="tiny") < 60
    assert told.sum("llamaq_queued_body_bytes", model="tiny") == 500
    assert told.sum("llamaq_model_accepting_workers", model="tiny") == 2
    assert told.sum("llamaq_model_open_breakers", model="tiny") == 1
    assert told.sum("llamaq_model_slots", model="tiny") == 8
    assert told.sum("llamaq_model_busy_slots", model="tiny") == 4
    assert told.values("llamaq_model_workers", "health") == {"healthy", "drained", "other"}
    assert told.sum("llamaq_model_workers", health="healthy") == 2


async def test_memory_of_redis_is_told_with_its_limit(real_desk: Desk) -> None:
    await real_desk.redis.config_set("maxmemory", 2**30)
    told = await figures(real_desk.redis)
    await real_desk.redis.config_set("maxmemory", 0)
    assert told.sum("llamaq_redis_memory_bytes") > 2**20 / 2
    assert told.sum("llamaq_redis_memory_limit_bytes") == 2**30


async def test_only_so_many_models_have_series(real_desk: Desk) -> None:
    told = await figures(real_desk.redis, *(a_model(model=f"m{n}") for n in range(MOST_MODELS + 5)))
    assert len(told.values("llamaq_queued_jobs", "model")) == MOST_MODELS


async def test_a_queue_that_is_damaged_hides_no_other(real_desk: Desk) -> None:
    await real_desk.redis.set(real_desk.keys.named("classes"), "no classes")
    told = await figures(real_desk.redis, a_model(), a_model(model="other"))
    assert told.values("llamaq_queued_jobs", "model") == {"other"}
    assert told.sum("llamaq_redis_up") == 1


async def test_without_redis_only_that_is_told() -> None:
    redis = open_redis("redis://127.0.0.1:9")
    told = await figures(redis, a_model())
    assert (told.names, told.sum("llamaq_redis_up")) == ({"llamaq_redis_up"}, 0)
    await redis.aclose()
