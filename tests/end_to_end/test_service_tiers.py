"""Who goes next, as clients ask for it and are told of it: tiers, end users, newer requests."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import redis
from openai import OpenAI

from testing.builders import make_token
from testing.processes import LlamaServer, answers, api, bridge, free_port, valkey
from testing.waiting import wait_until
from tests.end_to_end.conftest import Fleet

pytestmark = pytest.mark.real

CHAT = "/v1/chat/completions"
ASKED: list[Any] = [{"role": "user", "content": "Go on."}]
SHORT: dict[str, Any] = {"model": "small", "messages": ASKED, "max_tokens": 5}
ENDLESS = {"ignore_eos": True}
LONG = {**SHORT, **ENDLESS, "max_tokens": 1900, "stream": True}
SETTINGS = {"max_tenant_jobs": "3", "queue_position_after_s": "1.5"}


@dataclass(frozen=True, slots=True)
class Single:
    """One slot of one server; a tenant may have three requests in the queue."""

    url: str
    store: "redis.Redis[Any]"

    def openai(self, **claims: Any) -> OpenAI:
        token = make_token(**claims)
        return OpenAI(base_url=f"{self.url}/v1", api_key=token, max_retries=0, timeout=30)

    def http(self, **claims: Any) -> httpx.Client:
        headers = {"Authorization": f"Bearer {make_token(**claims)}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30)

    def wait_for(self, *, queued: int) -> None:
        wait_until(lambda: self.store.zcard("llamaq:{small}:queue") == queued)

    @contextmanager
    def slot_taken(self, **headers: str) -> Iterator[Iterator[str]]:
        """Keeps the only slot busy, for another tenant; yields the lines of its answer."""
        with (
            self.http(sub="busy") as client,
            client.stream("POST", CHAT, json=LONG, headers=headers) as answer,
        ):
            lines = answer.iter_lines()
            next(lines)
            yield lines


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory, models: dict[str, Path]) -> Iterator[Single]:
    folder = tmp_path_factory.mktemp("single")
    with ExitStack() as stack:
        redis_url = stack.enter_context(valkey(folder))
        server = LlamaServer(models["small"], free_port(), "small", 1)
        stack.enter_context(server.running(folder / "server.log"))
        stack.enter_context(bridge(redis_url, server, folder / "bridge.log"))
        _, url = stack.enter_context(api(redis_url, folder / "api.log", **SETTINGS))
        wait_until(lambda: answers(f"{url}/ready"))
        store = stack.enter_context(redis.Redis.from_url(redis_url))
        yield Single(url, store)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as running:
        yield running


STORIES = count()


def story() -> list[Any]:
    """A new conversation: those that a worker has in its cache may be served out of turn."""
    return [{"role": "user", "content": f"Story {next(STORIES)}, please."}]


def used_tier(fleet: Fleet, asked: Any = openai.NOT_GIVEN, **claims: Any) -> str:
    token = make_token(**claims)
    with OpenAI(base_url=f"{fleet.url}/v1", api_key=token, max_retries=0) as client:
        chat = {**SHORT, "model": "tiny", "service_tier": asked}
        return str(
            client.chat.completions.with_raw_response.create(**chat).headers["x-llamaq-tier"]
        )


def test_reply_tells_which_tier_served_it(fleet: Fleet) -> None:
    assert used_tier(fleet) == "default"
    assert used_tier(fleet, "flex") == "flex"
    assert used_tier(fleet, "auto", tier="priority") == "priority"
    assert used_tier(fleet, "default", tier="priority") == "default"


def test_no_tier_is_above_the_tokens(fleet: Fleet) -> None:
    assert used_tier(fleet, "priority") == "default"
    assert used_tier(fleet, "priority", tier="flex") == "flex"


def test_unknown_tier_is_the_tokens_own(fleet: Fleet) -> None:
    assert used_tier(fleet, "scale") == "default"
    assert used_tier(fleet, "scale", tier="priority") == "priority"


def test_urgent_requests_leave_a_turn_to_others_and_no_more(
    single: Single, pool: ThreadPoolExecutor
) -> None:
    order: list[str] = []

    def ask(tier: str) -> None:
        with single.http(sub=tier, tier="priority") as client:
            client.post(CHAT, json={**SHORT, "messages": story(), "service_tier": tier})
        order.append(tier)

    with single.slot_taken():
        for number, tier in enumerate(["flex"] * 3 + ["priority"] * 3, start=1):
            pool.submit(ask, tier)
            single.wait_for(queued=number)
    wait_until(lambda: len(order) == 6)
    assert order[:4].count("priority") == 3


def test_delegate_speaks_for_its_end_users_and_others_for_themselves(single: Single) -> None:
    named = {"X-OpenWebUI-User-Id": "u-1"}
    for claims, body, user in (
        ({"delegate": True}, {}, b"u-1"),
        ({}, {"user": "u-2"}, b"-"),
    ):
        with single.http(**claims) as client:
            answer = client.post(CHAT, json={**SHORT, **body}, headers=named)
        job = f"llamaq:{{small}}:job:{answer.headers['x-request-id']}"
        assert single.store.hmget(job, "tenant", "user") == [b"me", user]


def test_end_user_with_many_requests_delays_no_other_one(
    single: Single, pool: ThreadPoolExecutor
) -> None:
    order: list[str] = []

    def ask(user: str) -> None:
        with single.http(delegate=True) as client:
            named = {"X-OpenWebUI-User-Id": user}
            client.post(CHAT, json={**SHORT, "messages": story()}, headers=named)
        order.append(user)

    with single.slot_taken():
        for number, user in enumerate(("many", "many", "one"), start=1):
            pool.submit(ask, user)
            single.wait_for(queued=number)
    wait_until(lambda: len(order) == 3)
    assert order.index("one") < 2


def superseding(single: Single, sub: str = "me", **more: Any) -> httpx.Response:
    with single.http(sub=sub) as client:
        headers = {"x-llamaq-supersede": "tab-7"}
        return client.post(CHAT, json={**SHORT, **more}, headers=headers)


def test_newer_request_takes_the_place_of_the_queued_one(
    single: Single, pool: ThreadPoolExecutor
) -> None:
    with single.slot_taken():
        older = pool.submit(superseding, single)
        single.wait_for(queued=1)
        newer = pool.submit(superseding, single)
        refused = older.result(60)
        single.wait_for(queued=1)
    assert refused.status_code == 409
    assert refused.headers["x-should-retry"] == "false"
    assert refused.json()["error"]["code"] == "superseded"
    assert newer.result(60).status_code == 200


def test_choices_of_one_request_all_run(single: Single) -> None:
    answer = superseding(single, n=2)
    assert len(answer.json()["choices"]) == 2


def test_request_that_runs_is_not_superseded(single: Single, pool: ThreadPoolExecutor) -> None:
    with single.slot_taken(**{"x-llamaq-supersede": "tab-7"}) as lines:
        newer = pool.submit(superseding, single, sub="busy")
        single.wait_for(queued=1)
        later = [line for line in islice(lines, 40) if line]
    assert all('"error"' not in line for line in later)
    assert newer.result(60).status_code == 200


def test_waiting_stream_is_told_its_place(single: Single, pool: ThreadPoolExecutor) -> None:
    told = threading.Event(), threading.Event()

    def wait(number: int) -> None:
        chat = {**SHORT, "stream": True}
        with (
            single.http(sub=f"sub{number}") as client,
            client.stream("POST", CHAT, json=chat) as answer,
        ):
            lines = answer.iter_lines()
            assert next(lines).startswith(f": queued position={number}")
            told[number - 1].set()
            assert answer.headers["x-llamaq-queue-position"] == str(number)
            assert [line for line in lines if line][-1] == "data: [DONE]"

    with single.slot_taken():
        first = pool.submit(wait, 1)
        single.wait_for(queued=1)
        second = pool.submit(wait, 2)
        for each in told:
            each.wait(20)
    first.result(60)
    second.result(60)


def test_tenant_learns_how_many_more_requests_may_wait(
    single: Single, pool: ThreadPoolExecutor
) -> None:
    def ask() -> httpx.Response:
        with single.http() as client:
            return client.post(CHAT, json=SHORT)

    with single.slot_taken():
        waiting = []
        for number in range(1, 4):
            waiting.append(pool.submit(ask))
            single.wait_for(queued=number)
        with pytest.raises(openai.RateLimitError, match="of your requests") as raised:
            single.openai().chat.completions.create(**SHORT)
    headers = raised.value.response.headers
    assert 1 <= int(headers["retry-after"]) <= 120
    assert headers["x-ratelimit-remaining-requests"] == "0"
    replies = [future.result(60).headers for future in waiting]
    assert {reply["x-ratelimit-limit-requests"] for reply in replies} == {"3"}
    assert [int(reply["x-ratelimit-remaining-requests"]) for reply in replies] == [2, 1, 0]
