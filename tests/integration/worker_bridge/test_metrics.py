"""Each metric moves: a real API, a real Redis, and bridges whose servers a test scripts."""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any, cast

import pytest

import worker_bridge.breaker as breaker
from dispatcher.connection import open_redis
from testing.builders import make_token
from testing.fake_llama_server import Chat, answer
from testing.processes import SECRET
from testing.replies import break_off, break_off_midway, compute_error, say_the_rest
from testing.scraped import Scraped
from testing.stage import Stage
from testing.waiting import until
from worker_bridge.lease import Lease
from worker_bridge.metrics import BridgeMetrics
from worker_bridge.worker_metrics import serving

pytestmark = pytest.mark.real

TIMINGS = {"prompt_n": 500, "prompt_ms": 100.0, "predicted_n": 101, "predicted_ms": 1000.0}


async def of_api(stage: Stage) -> Scraped:
    token = make_token(secret=SECRET, scopes=["metrics"])
    found = await stage.client.get("/metrics", headers={"Authorization": f"Bearer {token}"})
    assert found.status_code == 200, found.text
    return Scraped(found.text)


async def of_bridge(stage: Stage) -> Scraped:
    text, _ = await stage.metrics.text()
    return Scraped(text.decode())


def has(look: Callable[[], Any], name: str, value: float, **labels: str) -> Callable[[], Any]:
    """Whether a scrape tells so."""

    async def check() -> bool:
        return bool((await look()).sum(name, **labels) == value)

    return check


def has_more(look: Callable[[], Any], name: str, least: float, **labels: str) -> Callable[[], Any]:
    """Whether a scrape tells of more than that."""

    async def check() -> bool:
        return bool((await look()).sum(name, **labels) > least)

    return check


async def answer_from_cache(chat: Chat) -> None:
    await chat.say("Hello", timings=TIMINGS)
    await chat.finish(prompt=30, completion=12, cached=20)


async def test_an_answer_moves_what_is_counted_of_answers(stage: Stage) -> None:
    stage.script.append(answer_from_cache)
    server = stage.server()
    async with stage.bridged(server):
        await stage.events()
        told, model = await of_api(stage), stage.model
        at = {"model": model, "tier": "default"}
        chat = at | {"endpoint": "/v1/chat/completions"}
        assert told.sum("llamaq_requests_total", **chat, status="2xx") == 1
        assert told.sum("llamaq_request_duration_seconds_count", **chat) == 1
        assert told.sum("llamaq_request_duration_seconds_sum", **chat) > 0
        assert told.sum("llamaq_queue_wait_seconds_count", **at) == 1
        assert told.sum("llamaq_time_to_first_token_seconds_count", **at) == 1
        assert told.sum("llamaq_prompt_tokens_total", **at) == 30
        assert told.sum("llamaq_cached_prompt_tokens_total", **at) == 20
        assert told.sum("llamaq_completion_tokens_total", **at) == 12
        assert told.sum("llamaq_model_accepting_workers", model=model) == 1
        assert told.sum("llamaq_model_workers", model=model, health="healthy") == 1
        assert told.sum("llamaq_model_slots", model=model) == 2
        bridge, of_worker = await of_bridge(stage), {"model": model, "worker": f"w{server.port}"}
        assert bridge.sum("llamaq_worker_attempts_total", **of_worker, end="done") == 1
        assert bridge.sum("llamaq_worker_attempt_duration_seconds_count", **of_worker) == 1
        assert bridge.sum("llamaq_worker_prompt_tokens_total", **of_worker) == 30
        assert bridge.sum("llamaq_worker_cached_prompt_tokens_total", **of_worker) == 20
        assert bridge.sum("llamaq_worker_completion_tokens_total", **of_worker) == 12
        assert bridge.sum("llamaq_worker_prompt_tokens_per_second", **of_worker) == 5000
        assert bridge.sum("llamaq_worker_completion_tokens_per_second", **of_worker) == 100
        assert bridge.sum("llamaq_worker_accepting", **of_worker) == 1
        assert bridge.sum("llamaq_worker_health", **of_worker, health="healthy") == 1
        assert bridge.sum("llamaq_worker_slots", **of_worker) == 2
        assert 0 < bridge.sum("llamaq_worker_lease_age_seconds", **of_worker) < 60
    after = await of_bridge(stage)  # the worker has gone: what it did is told, how it is is not
    assert after.sum("llamaq_worker_attempts_total", **of_worker, end="done") == 1
    assert "llamaq_worker_accepting" not in after.names


async def test_what_runs_and_what_waits_is_told_while_it_does(stage: Stage) -> None:
    go_on = asyncio.Event()

    async def answer_later(chat: Chat) -> None:
        await chat.progress(processed=1)
        await go_on.wait()
        await answer(chat)

    stage.script.extend([answer_later] * 3)
    server = stage.server()
    server.slots = 1
    async with stage.bridged(server):
        model, before = stage.model, (await of_api(stage)).sum("llamaq_open_requests")
        asking = [asyncio.create_task(stage.text()) for _ in range(3)]
        at = {"model": model, "tier": "default"}
        api = partial(of_api, stage)
        await until(has(api, "llamaq_queued_jobs", 2, **at))
        await until(has(api, "llamaq_model_busy_slots", 1, model=model))
        told = await of_api(stage)
        assert told.sum("llamaq_oldest_queued_job_age_seconds", **at) > 0
        assert told.sum("llamaq_open_requests") - before == 3
        assert told.sum("llamaq_held_body_bytes") > 100
        bridge = await of_bridge(stage)
        assert bridge.sum("llamaq_worker_busy_slots", model=model) == 1
        await until(has_more(api, "llamaq_queued_body_bytes", 100, model=model))
        go_on.set()
        await asyncio.gather(*asking)
        await until(has(api, "llamaq_queued_jobs", 0, **at))


async def test_another_try_and_an_answer_that_goes_on_elsewhere_are_counted(stage: Stage) -> None:
    stage.script.extend([break_off, answer, break_off_midway, say_the_rest])
    async with stage.bridged(stage.server()), stage.bridged(stage.server()):
        await stage.text()
        await stage.events()
        told, bridge, model = await of_api(stage), await of_bridge(stage), stage.model
    assert told.sum("llamaq_retries_total", model=model) == 1
    assert told.sum("llamaq_continuations_total", model=model) == 1
    assert bridge.sum("llamaq_worker_attempts_total", model=model, end="crashed") == 2
    assert bridge.sum("llamaq_worker_attempts_total", model=model, end="done") == 2


async def test_a_breaker_that_opens_is_told_by_both(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker, "_FIRST_PAUSE_S", 60.0)
    stage.script.extend([compute_error] * 3)
    async with stage.bridged(stage.server()):
        assert (await stage.ask()).status_code == 502
        api, model = partial(of_api, stage), stage.model
        await until(has(api, "llamaq_model_open_breakers", 1, model=model))
        bridge, told = await of_bridge(stage), await api()
        assert bridge.sum("llamaq_worker_breaker_state", model=model, state="open") == 1
        assert bridge.sum("llamaq_worker_breaker_state", model=model, state="closed") == 0
        assert bridge.sum("llamaq_worker_breaker_openings_total", model=model) == 1
        assert bridge.sum("llamaq_worker_attempts_total", model=model, end="worker") == 3
        assert told.sum("llamaq_requests_total", model=model, status="5xx") == 1
    assert (await of_bridge(stage)).sum("llamaq_worker_breaker_openings_total", model=model) == 1


async def test_slots_that_others_use_are_told(stage: Stage) -> None:
    stage.script.append(answer)
    server = stage.server()
    async with stage.bridged(server):
        state = next(iter(stage.metrics.workers.values())).state
        assert state is not None
        state.see_others(1)
        bridge = await of_bridge(stage)
    assert bridge.sum("llamaq_worker_foreign_slots", model=stage.model) == 1
    assert bridge.sum("llamaq_worker_slots", model=stage.model) == 1


async def test_a_worker_that_somebody_has_stopped_is_not_told_as_one_that_is_down(
    stage: Stage,
) -> None:
    async with stage.bridged(stage.server()):
        state = next(iter(stage.metrics.workers.values())).state
        assert state is not None
        for name, word in (("paused_until_s", "paused"), ("drained", "drained")):
            setattr(state, name, True)
            bridge = await of_bridge(stage)
            assert bridge.sum("llamaq_worker_accepting", model=stage.model) == 0
            assert bridge.values("llamaq_worker_health", "health") == {word}


async def test_a_lease_that_is_lost_is_counted_and_the_worker_is_back(stage: Stage) -> None:
    async with stage.bridged(stage.server()):
        state = next(iter(stage.metrics.workers.values())).state
        assert state is not None
        state.fence()
        bridge = partial(of_bridge, stage)
        await until(has(bridge, "llamaq_worker_lost_leases_total", 1, model=stage.model))
        await until(stage.has_workers(1))


async def test_a_server_that_is_not_ready_waits_for_its_worker(stage: Stage) -> None:
    server, bridge = stage.server(), partial(of_bridge, stage)
    server.loading = True
    async with server.running(), stage.bridge(server):
        await until(has(bridge, "llamaq_bridge_waiting_servers", 1))
        server.loading = False
        await until(has(bridge, "llamaq_bridge_waiting_servers", 0))


async def test_errors_are_counted_by_their_code_and_strange_names_are_not_labels(
    stage: Stage,
) -> None:
    async with stage.bridged(stage.server()):
        before = await of_api(stage)
        for n in range(3):
            await stage.client.post("/v1/chat/completions", json={"model": f"none-{n}"})
            await stage.client.get(f"/nothing/{n}")
        told = await of_api(stage)

    def more(name: str, **labels: str) -> float:
        return told.sum(name, **labels) - before.sum(name, **labels)

    assert more("llamaq_refusals_total", code="not_found") == 3
    assert more("llamaq_refusals_total") == 6
    assert more("llamaq_requests_total", endpoint="other", status="4xx") == 3
    assert more("llamaq_requests_total", endpoint="/v1/chat/completions", status="4xx") == 3
    assert not {name for name in told.values("llamaq_requests_total", "model") if "none" in name}


async def test_a_process_tells_how_it_does(stage: Stage) -> None:
    api, scrapes = partial(of_api, stage), {"endpoint": "/v1/metrics"}
    await until(has_more(api, "llamaq_requests_total", 0, **scrapes))
    await until(has_more(api, "llamaq_redis_round_trip_seconds_count", 0))
    told = await api()
    for name in ("llamaq_event_loop_lateness_seconds", "llamaq_redis_round_trip_seconds"):
        assert told.sum(f"{name}_count") > 0
    assert told.sum("process_cpu_seconds_total") > 0
    assert told.sum("process_resident_memory_bytes") > 10**6
    assert told.sum("llamaq_build_info") == told.sum("llamaq_api_processes") == 1
    assert told.sum("llamaq_api_configured_processes") == 1
    assert told.sum("llamaq_redis_up") == 1
    assert told.sum("llamaq_redis_memory_bytes") > 10**5
    assert "llamaq_redis_memory_limit_bytes" in told.names


async def test_a_bridge_tells_that_redis_does_not_answer() -> None:
    metrics, redis = BridgeMetrics(), open_redis("redis://127.0.0.1:9")
    watch = metrics.begin(redis.link)
    watch.look()

    async def has_failed() -> bool:
        text, _ = await metrics.text()
        return Scraped(text.decode()).sum("llamaq_redis_failures_total") == 1

    await until(has_failed)
    await redis.aclose()


def test_workers_of_one_name_are_told_apart_and_come_back_to_their_place() -> None:
    class Serving:
        """Of a worker that serves."""

        openings = 0
        breaker = property(lambda self: self)

    metrics = BridgeMetrics()
    first, facts = metrics.worker("m", "host"), (cast("Any", Serving()), Lease())
    with serving(first, *facts):
        second = metrics.worker("m", "host")
        assert second is not first
    assert metrics.worker("m", "host") is first
    assert set(metrics.workers) == {("m", "host"), ("m", "host-2")}
    with ExitStack() as stack:
        for n in range(300):
            stack.enter_context(serving(metrics.worker(f"m{n}", "host"), *facts))
    assert len(metrics.workers) <= 201
