"""Which requests the history of the last hour and week counts, and when it is written."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from api import request_metrics
from api.request_history import RequestHistory
from api.request_log import Record
from api.request_metrics import RequestMetrics
from dispatcher.errors import RedisUnavailable
from dispatcher.figures import Done, Figures

CHAT = "/v1/chat/completions"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def history() -> RequestHistory:
    """Of five requests: three of them are for a model that there is."""
    requests = RequestMetrics({CHAT: CHAT})
    requests.is_known = lambda model: model == "m"
    for model, status in (("m", 200), ("m", None), ("m", 429), ("x" * 999, 404), (None, 200)):
        requests.note(Record("r", model=model, status=status, ttft_ms=100, queue_ms=0), CHAT)
    return requests.history


def test_api_counts_requests_of_models_that_there_are(history: RequestHistory) -> None:
    counts = history.counts_of("m")
    assert list(history.counts) == ["m"]
    figures = counts.take()
    assert figures.done == Done(requests=3, failed=2)
    assert (sum(figures.first_token.counts), sum(figures.queued.counts)) == (3, 3)
    assert figures.first_token != figures.queued
    assert counts.take() == Figures()


def test_model_has_a_history_though_there_are_too_many_rows_of_metrics(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(request_metrics, "_MOST_ROWS", 1)
    requests = RequestMetrics({CHAT: CHAT})
    requests.is_known = lambda model: True
    for model in ("m", "n", "n"):
        requests.note(Record("r", model=model, status=200), CHAT)
    assert requests.history.counts_of("n").take().done == Done(requests=2)


async def test_counts_that_redis_does_not_take_are_written_later(history: RequestHistory) -> None:
    redis = _Redis()
    await history.write(cast(Any, redis), "api-1")
    assert not redis.written
    redis.is_there = True
    await history.write(cast(Any, redis), "api-1")
    assert len(redis.written) == 2
    assert all("requests=3 failed=2" in call for call in redis.written)
    await history.write(cast(Any, redis), "api-1")
    assert len(redis.written) == 2


async def test_model_that_comes_while_another_is_written_has_its_turn_the_next_time(
    history: RequestHistory,
) -> None:
    redis = _Redis()
    redis.is_there = True
    redis.called = lambda: history.counts_of("new")
    await history.write(cast(Any, redis), "api-1")
    assert len(redis.written) == 2
    history.counts_of("new").requests += 1
    await history.write(cast(Any, redis), "api-1")
    assert len(redis.written) == 4


class _Redis:
    """A link to a Redis that is away at first."""

    def __init__(self) -> None:
        self.link = self
        self.is_there = False
        self.called: Callable[[], object] = lambda: None
        self.written: list[tuple[Any, ...]] = []

    def call(self, command: str, *arguments: Any) -> "asyncio.Future[object]":
        self.called()
        future = asyncio.get_running_loop().create_future()
        if not self.is_there:
            future.set_exception(RedisUnavailable("away"))
        else:
            future.set_result([b"1795795600", b"0"])
        if command == "HSET":
            self.written.append(arguments)
        return future
