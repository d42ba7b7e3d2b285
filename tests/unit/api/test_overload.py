"""What the route does when more comes than it gets through, and that nothing stays counted."""

import gc
import json
import threading
from collections.abc import Iterator
from typing import cast

import pytest
from fastapi import FastAPI

import api.body
from api.context import Context
from api.exchange import Exchange
from api.line import Line
from api.visit import Room
from dispatcher.errors import QueueFull
from dispatcher.frames import Kind
from testing.builders import make_chat, make_token
from testing.service import Service, end, service

MANY = 20


@pytest.fixture
def chat() -> Iterator[Service]:
    with service(max_body_bytes=200_000, max_held_bytes=2**20) as running:
        yield running


def context_of(chat: Service) -> Context:
    return cast("Context", cast("FastAPI", chat.client.app).state.context)


def fill(chat: Service, wait_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenant with many open requests has the line grow."""
    for _ in range(MANY):
        context_of(chat).line.enter("many")
    monkeypatch.setattr(Line, "expected_wait_s", wait_s)
    monkeypatch.setattr(context_of(chat).line, "long_since", float("-inf"))


def test_refusal_costs_little_and_others_are_served(
    chat: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(chat, 3.0, monkeypatch)
    refused = chat.chat(make_chat(), sub="many")
    assert refused.status_code == 503
    error = refused.json()["error"]
    assert (error["type"], error["code"]) == ("server_error", "overloaded")
    assert f"in {refused.headers['retry-after']} s" in error["message"]
    assert "connection" not in refused.headers
    assert chat.queue.jobs == []
    assert chat.chat(make_chat(), sub="few").status_code == 200
    assert chat.client.get("/health").status_code == 200
    assert chat.client.get("/v1/models", headers=token()).status_code == 200


def token() -> dict[str, str]:
    return {"Authorization": f"Bearer {make_token()}"}


def test_body_of_a_refused_request_is_not_read_as_one(
    chat: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(chat, 3.0, monkeypatch)
    assert chat.chat(b"{" * 150_000, sub="many").status_code == 503


def test_bodies_beyond_the_room_are_refused(chat: Service) -> None:
    """At d26fdb4 (M4) unfinished bodies had no bound in sum."""
    room = context_of(chat).room
    for tenant in ("a", "b", "c"):
        room.take(tenant, 300_000)
    large = make_chat(messages=[{"role": "user", "content": "x" * 150_000}])
    refused = chat.chat(large, sub="d")
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "overloaded")
    room.give_back("c", 300_000)
    refused = chat.chat(large, sub="a")  # it has its share
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "tenant_memory_full")
    assert f"in {refused.headers['retry-after']} s" in refused.json()["error"]["message"]
    assert chat.chat(large, sub="d").status_code == 200


def test_body_of_a_stranger_takes_no_memory_of_others(
    chat: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Room, "take", None)
    refused = chat.client.post("/v1/chat/completions", content=make_chat(user="x" * 100_000))
    assert refused.status_code == 401


def test_tenant_has_so_many_open_requests_and_others_have_theirs() -> None:
    with service(max_tenant_requests=3, api_workers=2) as chat:
        line = context_of(chat).line
        for _ in range(2):
            line.enter("many")
        refused = chat.chat(make_chat(), sub="many")
        assert refused.status_code == 429
        assert refused.json()["error"]["code"] == "tenant_requests_full"
        assert f"in {refused.headers['retry-after']} s" in refused.json()["error"]["message"]
        assert chat.chat(make_chat(), sub="few").status_code == 200
        line.leave("many")
        assert chat.chat(make_chat(), sub="many").status_code == 200


def test_hundred_thousand_messages_are_refused_beside_the_event_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At d26fdb4 they got no answer in 45 s."""
    readers = note_readers(monkeypatch)
    message = {"role": "user", "content": "Hi"}
    with service() as chat:
        for count, advice in ((100_000, "names and strings: send less"), (40_000, "4096 items")):
            refused = chat.chat(make_chat(messages=[message] * count))
            assert refused.status_code == 400
            assert advice in refused.json()["error"]["message"]
        assert chat.chat(make_chat(messages=[message] * 4096)).status_code == 200
    assert [reader.startswith("large-bodies") for reader in readers] == [True] * 3


def test_nothing_of_a_request_stays_counted_however_it_ends(chat: Service) -> None:
    large = make_chat(messages=[{"role": "user", "content": "x" * 150_000}])
    bodies = (make_chat(), large, make_chat(stream=True), make_chat(n=3), b"{", b"x" * 300_000)
    for body in (*bodies, make_chat(model="none"), make_chat(tier=5)):
        chat.chat(body)
    chat.chat(make_chat(), {"Transfer-Encoding": "chunked"})
    for frames in (end(Kind.CANCELLED), end(Kind.EXPIRED)):
        chat.queue.frames = frames
        chat.chat(make_chat())
        chat.chat(make_chat(stream=True))
    chat.queue.refusal = QueueFull("full")
    chat.chat(make_chat())
    context = context_of(chat)
    assert context.line.counts() == (0, 0, 0)
    assert context.room.held_bytes == 0


def note_readers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The threads in which bodies will be read."""
    readers: list[str] = []
    parse = api.body.parse_json

    def noting(body: bytes, max_depth: int) -> object:
        readers.append(threading.current_thread().name)
        return parse(body, max_depth)

    monkeypatch.setattr(api.body, "parse_json", noting)
    return readers


def test_large_bodies_are_read_beside_the_event_loop(
    chat: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    readers = note_readers(monkeypatch)
    large = make_chat(messages=[{"role": "user", "content": "x" * 150_000}])
    assert chat.chat(large).status_code == 200
    assert chat.chat(make_chat()).status_code == 200
    assert readers[0].startswith("large-bodies")
    assert not readers[1].startswith("large-bodies")
    assert json.loads(chat.queue.jobs[0].body)["messages"][0]["content"] == "x" * 150_000


def test_memory_of_a_request_is_free_without_a_look_of_the_collector(chat: Service) -> None:
    def exchanges() -> int:
        return sum(isinstance(each, Exchange) for each in gc.get_objects())

    chat.chat(make_chat())
    gc.collect()
    gc.disable()
    try:
        for body in (make_chat(), make_chat(stream=True), make_chat(n=2)):
            assert chat.chat(body).status_code == 200
        chat.queue.frames = end(Kind.CANCELLED)
        assert chat.chat(make_chat()).status_code == 503
        assert exchanges() == 0
    finally:
        gc.enable()
