"""What a client is told when it can't be served now: full queue, no slot, no worker, no Redis."""

import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import redis

from testing.builders import make_token
from testing.processes import LlamaServer, Program, answers, api, bridge, free_port, program
from testing.processes import valkey as start_valkey
from testing.waiting import wait_until

pytestmark = pytest.mark.real

CHAT = "/v1/chat/completions"
BODY: dict[str, Any] = {
    "model": "small",
    "messages": [{"role": "user", "content": "Go on."}],
    "ignore_eos": True,
}
RUNNING = "llamaq:{small}:running:*"
SETTINGS = {
    "max_queue_jobs": "2",
    "queue_wait_s": "3",
    "model_grace_s": "1",
    "queue_position_after_s": "1",
}


@dataclass(frozen=True, slots=True)
class Single:
    """One slot on one server behind an API that is soon out of patience."""

    url: str
    store: "redis.Redis[Any]"
    bridge: Program

    def http(self, tenant: str = "me") -> httpx.Client:
        headers = {"Authorization": f"Bearer {make_token(sub=tenant)}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30)

    def replies(self) -> bytes:
        """The reply stream of the only API."""
        return next(iter(self.store.keys("llamaq:{small}:replies:*")))

    def queued(self) -> int:
        return int(self.store.zcard("llamaq:{small}:queue"))


@contextmanager
def started(folder: Path, model: Path) -> Iterator[Single]:
    with ExitStack() as stack:
        redis_url = stack.enter_context(start_valkey(folder))
        server = LlamaServer(model, free_port(), "small", 1)
        stack.enter_context(server.running(folder / "server.log"))
        running = stack.enter_context(bridge(redis_url, server, folder / "bridge.log"))
        _, url = stack.enter_context(api(redis_url, folder / "api.log", **SETTINGS))
        wait_until(lambda: answers(f"{url}/ready"))
        store = stack.enter_context(redis.Redis.from_url(redis_url))
        yield Single(url, store, running)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, models: dict[str, Path]) -> Iterator[Single]:
    with started(tmp_path_factory.mktemp("single"), models["small"]) as single:
        yield single


@pytest.fixture
def single(shared: Single) -> Single:
    """One for the tests that leave it whole; its slot is free, and nobody waits."""
    wait_until(lambda: shared.queued() == 0 and not shared.store.keys(RUNNING))
    return shared


@pytest.fixture
def losing(tmp_path: Path, models: dict[str, Path]) -> Iterator[Single]:
    """One whose bridge the test ends."""
    with started(tmp_path, models["small"]) as single:
        yield single


@contextmanager
def slot_taken(single: Single) -> Iterator[None]:
    """Keeps the only slot busy with a stream that lasts for longer than any wait."""
    body = {**BODY, "stream": True, "max_tokens": 1900}
    with single.http() as client, client.stream("POST", CHAT, json=body) as answer:
        lines = answer.iter_lines()  # kept: its end would close the connection
        next(lines)
        yield


def test_full_queue_is_a_rate_limit_error_that_says_when_to_come_back(single: Single) -> None:
    with slot_taken(single), single.http() as client, ThreadPoolExecutor() as pool:
        for _ in range(2):
            pool.submit(client.post, CHAT, json=BODY)
        wait_until(lambda: single.queued() == 2)
        official = openai.OpenAI(base_url=f"{single.url}/v1", api_key=make_token(), max_retries=0)
        with pytest.raises(openai.RateLimitError, match="wait for the model 'small'") as raised:
            official.chat.completions.create(model="small", messages=BODY["messages"])
    assert 1 <= int(raised.value.response.headers["retry-after"]) <= 120
    wait_until(lambda: single.queued() == 0)


@pytest.mark.parametrize("streams", [False, True])
def test_tenant_with_nothing_in_a_full_queue_gets_the_place_of_anothers_newest(
    single: Single, streams: bool
) -> None:
    with slot_taken(single), single.http() as me, single.http("new") as new, ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor())
        older = pool.submit(me.post, CHAT, json=BODY)
        wait_until(lambda: single.queued() == 1)
        if streams:
            newest = stack.enter_context(me.stream("POST", CHAT, json={**BODY, "stream": True}))
        else:
            asking = pool.submit(me.post, CHAT, json=BODY)
        wait_until(lambda: single.queued() == 2)
        stack.enter_context(new.stream("POST", CHAT, json={**BODY, "stream": True}))
        if not streams:
            newest = asking.result()
        last = newest.read().decode().strip().splitlines()[-1].removeprefix("data: ")
        assert newest.status_code == (200 if streams else 429)
        assert json.loads(last)["error"]["code"] == "queue_full"
        assert older.result().status_code == 504  # it had its place until its time was up


def test_wait_for_a_slot_ends_with_504_that_is_not_to_be_retried(single: Single) -> None:
    with slot_taken(single), single.http() as client:
        answer = client.post(CHAT, json=BODY)
    assert answer.status_code == 504
    assert answer.headers["x-should-retry"] == "false"
    assert "No slot" in answer.json()["error"]["message"]
    wait_until(lambda: single.queued() == 0)  # its cancel comes behind the answer


def test_streaming_client_that_waits_gets_signs_of_life_and_then_the_error(single: Single) -> None:
    with slot_taken(single), single.http() as client:
        answer = client.post(CHAT, json={**BODY, "stream": True})
    first, *comments, last = answer.text.removesuffix("\n\n").split("\n")
    assert answer.status_code == 200
    assert first in (": queued position=1", ": queued waiting=1")  # known after a second
    assert all(line.startswith(": queued position=") for line in comments)
    assert last.startswith("data: {")
    assert '"code": "deadline_exceeded"' in last
    assert "[DONE]" not in answer.text


def test_model_without_workers_is_waited_for_and_then_503(losing: Single) -> None:
    assert losing.bridge.stop() == 0
    wait_until(lambda: not answers(f"{losing.url}/ready"))
    assert answers(f"{losing.url}/health")
    with losing.http() as client:
        answer = client.post(CHAT, json=BODY)
        unknown = client.post(CHAT, json={**BODY, "model": "other"})
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert "llama-server and its bridge" in answer.json()["error"]["message"]
    assert unknown.status_code == 404
    wait_until(lambda: losing.queued() == 0)  # its cancel comes behind the answer


def test_worker_that_comes_within_the_grace_time_serves_who_waits(
    tmp_path: Path, models: dict[str, Path]
) -> None:
    with ExitStack() as stack:
        redis_url = stack.enter_context(start_valkey(tmp_path))
        server = LlamaServer(models["tiny"], free_port(), "tiny", 1)
        stack.enter_context(server.running(tmp_path / "server.log"))
        with bridge(redis_url, server, tmp_path / "bridge1.log") as first:
            first.stop()
        _, url = stack.enter_context(api(redis_url, tmp_path / "api.log"))
        headers = {"Authorization": f"Bearer {make_token()}"}
        client = stack.enter_context(httpx.Client(base_url=url, headers=headers, timeout=30))
        body = {**BODY, "model": "tiny", "max_tokens": 5, "stream": True}
        log = tmp_path / "bridge2.log"
        environment = {"LLAMAQ_REDIS_URL": redis_url, "LLAMAQ_SERVER": server.url}
        command = ["sh", "-c", f"sleep 1; exec {sys.executable} -m llamaq bridge"]
        stack.enter_context(program(command, log, environment))
        answer = client.post(CHAT, json=body)
    assert answer.status_code == 200
    assert answer.text.endswith("data: [DONE]\n\n")


def test_without_redis_new_requests_get_503_and_the_api_lives_on(
    tmp_path: Path, models: dict[str, Path]
) -> None:
    with ExitStack() as stack:
        server = LlamaServer(models["tiny"], free_port(), "tiny", 1)
        stack.enter_context(server.running(tmp_path / "server.log"))
        store = ExitStack()
        redis_url = store.enter_context(start_valkey(tmp_path))
        stack.enter_context(bridge(redis_url, server, tmp_path / "bridge.log"))
        _, url = stack.enter_context(api(redis_url, tmp_path / "api.log"))
        headers = {"Authorization": f"Bearer {make_token()}"}
        client = stack.enter_context(httpx.Client(base_url=url, headers=headers, timeout=30))
        body = {**BODY, "model": "tiny", "max_tokens": 5}
        assert client.post(CHAT, json=body).status_code == 200
        store.close()
        answer = client.post(CHAT, json=body)
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "redis_unavailable"
        assert int(answer.headers["retry-after"]) >= 1
        assert answers(f"{url}/health")
        assert not answers(f"{url}/ready")
        stack.enter_context(start_valkey(tmp_path))  # empty: everyone joins again
        wait_until(lambda: client.post(CHAT, json=body).status_code == 200, 20)


def test_error_before_the_first_token_of_a_stream_is_an_http_error(single: Single) -> None:
    long = {**BODY, "stream": True, "messages": [{"role": "user", "content": "long " * 3000}]}
    with single.http() as client:
        answer = client.post(CHAT, json=long)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "context_length_exceeded"


def test_api_that_starts_before_redis_says_so_and_serves_when_it_comes(
    tmp_path: Path, models: dict[str, Path]
) -> None:
    with ExitStack() as stack:
        redis_url = f"unix://{tmp_path}/valkey.sock"
        running, url = stack.enter_context(api(redis_url, tmp_path / "api.log"))
        wait_until(lambda: "can't be reached" in running.output)
        assert not answers(f"{url}/ready")
        stack.enter_context(start_valkey(tmp_path))
        server = LlamaServer(models["tiny"], free_port(), "tiny", 1)
        stack.enter_context(server.running(tmp_path / "server.log"))
        stack.enter_context(bridge(redis_url, server, tmp_path / "bridge.log"))
        wait_until(lambda: answers(f"{url}/ready"))


def test_job_whose_only_worker_was_lost_does_not_wait_for_ever(losing: Single) -> None:
    with losing.http() as client, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(client.post, CHAT, json={**BODY, "max_tokens": 1900})
        wait_until(lambda: losing.store.keys(RUNNING))
        wait_until(lambda: int(losing.store.xlen(losing.replies())) > 1)  # the API knows
        losing.bridge.kill()
        assert answer.result(25).status_code == 503
    wait_until(lambda: losing.queued() == 0)
