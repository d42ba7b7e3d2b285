"""Large answers in one piece have memory before their jobs are queued."""

import asyncio
import json
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any, cast

import pytest
from fastapi import FastAPI

from api import whole
from api.answer_room import AnswerRoom
from api.context import Context
from api.endpoint import Items
from api.errors import ApiError
from api.exchange import ClientGone
from dispatcher.frames import Frame, Kind
from testing.builders import make_token
from testing.service import STARTED, Service, a_model, a_worker, service

MIB = 2**20
LARGE = Items(10, "float of tiny", MIB)
TOKEN = {"Authorization": f"Bearer {make_token()}"}
MANY = {"model": "tiny", "input": ["x"] * 20}


@pytest.fixture
def room() -> AnswerRoom:
    """For two of the large answers, and one may take ten of them."""
    return AnswerRoom(25 * MIB, 100 * MIB)


async def ticks() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_many_large_answers_never_hold_more_than_there_is_and_all_get_their_turn(
    room: AnswerRoom,
) -> None:
    most, order = [0], list[str]()

    async def answer(tenant: str) -> None:
        held = await room.take(tenant, LARGE, 5)
        order.append(tenant)
        most[0] = max(most[0], room.held_bytes)
        await asyncio.sleep(0.001)
        held.give_back()

    tasks = [asyncio.create_task(answer("many")) for _ in range(30)]
    await ticks()
    await asyncio.gather(*tasks, answer("few"))
    assert most == [20 * MIB]
    assert order.index("few") < 10
    assert room.held_bytes == 0


async def test_small_answer_waits_for_nobody(room: AnswerRoom) -> None:
    await room.take("a", Items(1, "x", 100 * MIB), 5)
    waiting = asyncio.create_task(room.take("a", LARGE, 5))
    await ticks()
    held = await asyncio.wait_for(room.take("a", Items(3, "x", 1000), 5), 30)
    assert room.held_bytes == 100 * MIB + 3000
    held.give_back()
    waiting.cancel()


async def test_answer_that_takes_more_than_there_is_comes_alone(room: AnswerRoom) -> None:
    first = await room.take("a", Items(30, "x", MIB), 5)
    second = asyncio.create_task(room.take("b", LARGE, 5))
    await ticks()
    assert not second.done()
    first.give_back()
    assert await asyncio.wait_for(second, 30)


async def test_one_that_waits_too_long_is_refused_and_others_get_their_turn(
    room: AnswerRoom,
) -> None:
    first = await room.take("a", Items(25, "x", MIB), 5)
    late, later = room.take("a", LARGE, 0.01), asyncio.create_task(room.take("b", LARGE, 5))
    with pytest.raises(ApiError) as refused:
        await late
    assert (refused.value.status, "Retry-After" in refused.value.headers) == (503, True)
    first.give_back()
    assert await asyncio.wait_for(later, 30)


async def test_size_of_answers_is_learned(room: AnswerRoom) -> None:
    async def expected() -> int:
        before = room.held_bytes
        held = await room.take("a", LARGE, 5)
        found = room.held_bytes - before
        held.give_back()
        return found

    for size, then in ((1000, 1000), (8000, 8000), (2000, 5000)):
        held = await room.take("a", LARGE, 5)
        held.learn(size)
        held.give_back()
        assert await expected() == then


async def test_answer_that_is_larger_than_expected_holds_what_it_has(room: AnswerRoom) -> None:
    held = await room.take("a", LARGE, 5)
    held.grow(0, 8 * MIB)
    held.restart(0)  # it begins anew
    held.grow(0, 8 * MIB)
    assert room.held_bytes == 10 * MIB
    held.grow(1, 8 * MIB)
    assert room.held_bytes == 16 * MIB
    with pytest.raises(ApiError) as refused:
        held.grow(2, 90 * MIB)
    assert (refused.value.status, refused.value.code) == (413, "answer_too_large")
    held.give_back()
    assert room.held_bytes == 0


@pytest.fixture
def api() -> Iterator[Service]:
    """With room for one answer of which nothing is known."""
    with service(max_body_bytes=MIB, max_held_bytes=2 * MIB, queue_wait_s=0.3) as running:
        words = frozenset({"embeddings"})
        running.registry.models = {"tiny": a_model(a_worker(endpoints=words))}
        items = [{"embedding": [0.5], "index": n, "object": "embedding"} for n in range(20)]
        usage = {"prompt_tokens": 3, "total_tokens": 3}
        said = json.dumps({"model": "tiny", "usage": usage, "data": items}).encode()
        done = Frame(Kind.DONE, 2, payload=b'{"prompt_tokens": 3, "completion_tokens": 0}')
        running.queue.frames = (STARTED, Frame(Kind.CHUNK, 1, payload=said), done)
        yield running


def context_of(api: Service) -> Context:
    return cast("Context", cast("FastAPI", api.client.app).state.context)


def answers_of(api: Service) -> AnswerRoom:
    return context_of(api).answers


def test_request_for_which_no_room_comes_is_refused_and_nothing_is_queued(api: Service) -> None:
    answers_of(api).add(MIB)
    refused = api.client.post("/v1/embeddings", json=MANY, headers=TOKEN)
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "overloaded")
    assert "retry-after" in refused.headers
    assert api.queue.jobs == []
    answers_of(api).add(-MIB)
    assert api.client.post("/v1/embeddings", json=MANY, headers=TOKEN).status_code == 200
    assert answers_of(api).held_bytes == 0
    answers_of(api).add(MIB)  # by now it is known to be small
    assert api.client.post("/v1/embeddings", json=MANY, headers=TOKEN).status_code == 200


def test_room_is_given_back_where_the_answer_fails(api: Service) -> None:
    api.queue.frames = (
        STARTED,
        Frame(Kind.FAILED, 1, payload=b'{"code":"worker_failed","message":"y"}'),
    )
    assert api.client.post("/v1/embeddings", json=MANY, headers=TOKEN).status_code == 502
    assert answers_of(api).held_bytes == 0


def test_request_that_gets_its_room_when_the_api_ends_is_not_queued(api: Service) -> None:
    context_of(api).pulse.ending = True
    answer = api.client.post("/v1/embeddings", json=MANY, headers=TOKEN)
    assert "has to stop" in answer.json()["error"]["message"]
    assert (api.queue.jobs, answers_of(api).held_bytes) == ([], 0)


async def sent(body: bytes, take: Callable[[], Any]) -> list[MutableMapping[str, Any]]:
    messages = []

    async def send(message: MutableMapping[str, Any]) -> None:
        messages.append(message)
        await take()

    await whole._send_slices(body, send)
    return messages


async def test_large_answer_goes_out_in_slices() -> None:
    body = bytes(range(256)) * (10 * MIB // 1024)
    messages = await sent(body, lambda: asyncio.sleep(0))
    assert b"".join(message["body"] for message in messages) == body
    assert [message["more_body"] for message in messages] == [True, True, False]


async def test_client_that_reads_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole, "_SLICE_S", 0.01)
    with pytest.raises(ClientGone):
        await sent(bytes(2 * MIB), asyncio.Event().wait)
