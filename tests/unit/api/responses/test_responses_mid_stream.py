"""A stream of responses whose worker is lost goes on, or fails with one error."""

import json
from collections.abc import Iterator
from itertools import groupby
from typing import Any

import pytest

from testing.service import Service, service
from tests.unit.api.test_mid_stream import BEGUN, LOST, REST, chunk

ASKED = {"model": "tiny", "input": "Hi"}


@pytest.fixture
def api() -> Iterator[Service]:
    with service() as running:
        running.registry._grace_s = 0.05
        yield running


def stream(api: Service) -> list[dict[str, Any]]:
    body = json.dumps({**ASKED, "stream": True}).encode()
    lines = api.chat(body, path="/v1/responses").text.split("\n")
    return [json.loads(line[6:]) for line in lines if line.startswith("data: ")]


def types(events: list[dict[str, Any]]) -> list[str]:
    """Their types, of those in a row with one type the first."""
    return [name for name, _ in groupby(told["type"].removeprefix("response.") for told in events)]


def test_events_are_those_of_one_answer(api: Service) -> None:
    api.queue.frames, api.queue.continued = (*BEGUN, LOST), [REST]
    events = stream(api)
    assert types(events) == [
        *("created", "in_progress", "output_item.added", "content_part.added"),
        *("output_text.delta", "output_text.done", "content_part.done", "output_item.done"),
        "completed",
    ]
    assert [told["sequence_number"] for told in events] == list(range(len(events)))
    (item,) = events[-1]["response"]["output"]
    assert item["content"][0]["text"] == "Once upon"
    assert {told["item_id"] for told in events if "item_id" in told} == {item["id"]}
    (rest,) = api.queue.rests
    assert json.loads(rest.body)["messages"][-1]["content"] == "Once up"


def test_call_that_is_under_way_ends_with_one_error(api: Service) -> None:
    call = chunk(4, 3, "a", tool_calls=[{"index": 0, "id": "c", "function": {"name": "f"}}])
    api.queue.frames = (*BEGUN, call, LOST)
    events = stream(api)
    assert types(events)[-3:] == ["output_item.added", "error", "failed"]
    error, failed = events[-2]["error"], events[-1]["response"]
    assert "it was calling a tool" in error["message"]
    assert failed["error"] == {"code": "worker_failed", "message": error["message"]}
    assert failed["id"] == events[0]["response"]["id"]
    assert failed["output"][0]["content"][0]["text"] == "Once up"
    assert not api.queue.rests


def test_answer_in_one_piece_begins_anew(api: Service) -> None:
    api.queue.frames, api.queue.continued = (*BEGUN, LOST), [REST]
    answer = api.chat(json.dumps(ASKED).encode(), path="/responses").json()
    assert answer["output"][0]["content"][0]["text"] == "on"


def test_refusal_has_the_form_of_openai(api: Service) -> None:
    answer = api.chat(json.dumps({**ASKED, "input": 5}).encode(), path="/v1/responses")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "input")
