"""What is counted of requests, and who may ask for it."""

import asyncio
import os
import time
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api import request_metrics
from api.metrics import ApiMetrics, load_of
from api.request_log import Record
from api.request_metrics import RequestMetrics
from dispatcher.frames import FROM_SCRIPT, Frame, Kind
from dispatcher.metrics_text import metrics_text
from dispatcher.shared_sheets import open_files
from testing.builders import make_chat, make_token
from testing.scraped import Scraped
from testing.service import ANSWER, Service, scripted_app, service

CHAT = "/v1/chat/completions"
DOORS = {CHAT: CHAT, "/chat/completions": CHAT}


def told(requests: RequestMetrics) -> Scraped:
    text, _ = metrics_text(requests.sheet())
    return Scraped(text.decode())


def some_requests(most_tenants: int = 0) -> RequestMetrics:
    requests = RequestMetrics(DOORS, most_tenants)
    requests.is_known = lambda model: model.startswith("m")
    return requests


def a_record(**fields: Any) -> Record:
    facts: dict[str, Any] = {"tenant": "ann", "model": "m1", "tier": "default", "status": 200}
    return Record("r1", **facts | fields)


def test_values_fall_into_the_bucket_that_holds_them() -> None:
    requests = some_requests()
    requests.note(a_record(queue_ms=40, ttft_ms=2500, began_at=time.monotonic() - 4), CHAT)
    found, at = told(requests), {"model": "m1", "tier": "default"}
    for name, below, holds in (
        ("llamaq_queue_wait_seconds", "0.025", "0.05"),
        ("llamaq_time_to_first_token_seconds", "1.0", "2.5"),
        ("llamaq_request_duration_seconds", "2.5", "5.0"),
    ):
        assert found.sum(f"{name}_bucket", le=below, **at) == 0
        assert found.sum(f"{name}_bucket", le=holds, **at) == 1


def test_tokens_and_lost_workers_are_counted() -> None:
    requests, at = some_requests(), {"model": "m1", "tier": "default"}
    used = {"prompt_tokens": 10, "cached_tokens": 4, "completion_tokens": 3}
    for lost in ({"retries": 2}, {"continuations": 1}):
        requests.note(a_record(queue_ms=1, **used, **lost), CHAT)
    found = told(requests)
    for name, value in (
        ("llamaq_prompt_tokens_total", 20),
        ("llamaq_cached_prompt_tokens_total", 8),
        ("llamaq_completion_tokens_total", 6),
        ("llamaq_retries_total", 2),
        ("llamaq_continuations_total", 1),
    ):
        assert found.sum(name, **at) == value


def test_all_doors_of_an_endpoint_have_one_label() -> None:
    requests = some_requests()
    for path in DOORS:
        requests.note(a_record(), path)
    assert told(requests).sum("llamaq_requests_total", endpoint=CHAT) == 2


def test_what_clients_make_up_is_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_metrics, "_MOST_ROWS", 50)
    requests = some_requests()
    for n in range(200):
        requests.note(a_record(model=f"x{n}", status=404, code="model_not_found"), f"/{n}")
        requests.note(a_record(model=f"m{n}"), CHAT)
        requests.note(a_record(status=None, code=f"c{n}"), CHAT)
    found = told(requests)
    assert found.sum("llamaq_requests_total", endpoint="other", model="other") == 200
    assert found.sum("llamaq_requests_total", model="m1", status="5xx") == 200
    assert len(found.values("llamaq_requests_total", "model")) <= 51
    assert len(found.values("llamaq_refusals_total", "code")) <= 101
    assert found.sum("llamaq_requests_total") == found.sum("llamaq_refusals_total") + 200 == 600


def test_tenants_are_named_only_where_that_is_asked_for_and_then_so_many() -> None:
    requests, silent = some_requests(most_tenants=2), some_requests()
    for tenant in ("ann", "bob", "eve", "zoe", "ann"):
        requests.note(a_record(tenant=tenant, queue_ms=1, completion_tokens=3), CHAT)
        silent.note(a_record(tenant=tenant), CHAT)
    found = told(requests)
    assert found.values("llamaq_tenant_requests_total", "tenant") == {"ann", "bob", "other"}
    assert found.sum("llamaq_tenant_requests_total", tenant="other") == 2
    assert found.sum("llamaq_tenant_completion_tokens_total", tenant="ann") == 6
    assert not [name for name in told(silent).names if "tenant" in name]


async def test_requests_in_line_and_what_is_in_memory_are_told() -> None:
    app, _, _ = scripted_app()
    context = app.state.context
    for _ in range(20):
        context.line.enter("ann")
    turns = [asyncio.create_task(context.line.turn("ann")) for _ in range(20)]
    await asyncio.sleep(0)
    context.answers.add(500)
    context.room.take("ann", 300)
    text, _ = metrics_text(load_of(context))
    found = Scraped(text.decode())
    assert found.sum("llamaq_open_requests") == 20
    assert 0 < found.sum("llamaq_requests_in_line") < 20
    assert found.sum("llamaq_held_answer_bytes") == 500
    assert found.sum("llamaq_held_body_bytes") == 300
    for _ in turns:
        await asyncio.sleep(0)
        context.line.done()
    await asyncio.gather(*turns)


async def test_what_one_process_has_told_no_other_one_tells_less_of() -> None:
    files = open_files(2)
    one, other = ApiMetrics(some_requests()), ApiMetrics(some_requests())
    one.share(files)
    other.share(files[::-1])
    for number in (1, 2, 3):
        one.requests.note(a_record(), CHAT)
        for each in (one, other):
            text, _ = await each.text()
            found = Scraped(text.decode())
            assert found.sum("llamaq_requests_total") == number
    assert found.sum("llamaq_api_processes") == 2
    for descriptor in files:
        os.close(descriptor)


@pytest.fixture(scope="module")
def serving() -> Any:
    with service() as found:
        yield found


def ask(client: TestClient, **claims: Any) -> Any:
    return client.get("/metrics", headers={"Authorization": f"Bearer {make_token(**claims)}"})


def scraped(serving: Service) -> Scraped:
    return Scraped(ask(serving.client, scopes=["metrics"]).text)


def test_only_a_token_that_names_the_scope_may_ask(serving: Service) -> None:
    assert serving.client.get("/metrics").status_code == 401
    refused = ask(serving.client)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "scope_not_allowed")
    assert ask(serving.client, scopes=["metrics"]).status_code == 200
    chat = serving.chat(make_chat(), scopes=["metrics"])
    assert chat.status_code == 403


def test_prometheus_gets_the_content_type_that_it_asks_for(serving: Service) -> None:
    found = ask(serving.client, scopes=["metrics"])
    assert found.headers["content-type"].startswith("text/plain; version=")


def test_streams_that_fail_after_they_began_count_by_the_status_that_they_would_have_had(
    serving: Service,
) -> None:
    failed = Frame(Kind.FAILED, FROM_SCRIPT, payload=b'{"code":"worker_failed","message":"no"}')
    before = scraped(serving)
    serving.queue.frames = (*ANSWER[:2], failed)
    assert serving.chat(make_chat(stream=True)).status_code == 200
    serving.queue.frames = ANSWER
    now = scraped(serving)
    for name, labels in (
        ("llamaq_requests_total", {"status": "5xx", "endpoint": CHAT}),
        ("llamaq_refusals_total", {"code": "worker_failed"}),
    ):
        assert now.sum(name, **labels) == before.sum(name, **labels) + 1


def test_of_several_choices_the_prompt_counts_once(serving: Service) -> None:
    before = scraped(serving)
    assert serving.chat(make_chat(n=3)).status_code == 200
    now = scraped(serving)
    assert now.sum("llamaq_prompt_tokens_total") - before.sum("llamaq_prompt_tokens_total") == 1
    name = "llamaq_completion_tokens_total"
    assert now.sum(name) - before.sum(name) == 3
