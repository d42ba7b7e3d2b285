"""A stream whose worker is lost goes on, or ends with one error event, on a scripted queue."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from api.request_log import log
from dispatcher.cost import Shown
from dispatcher.frames import FROM_SCRIPT, Frame, Kind
from dispatcher.needs import Needs
from testing.builders import make_chat
from testing.service import Service, a_model, a_worker, service

LOST = Frame(Kind.LOST, FROM_SCRIPT, payload=b'{"code":"worker_failed","message":"It crashed."}')
SAME = Needs(fingerprint="f")


@pytest.fixture
def api() -> Iterator[Service]:
    with service() as running:
        running.registry._grace_s = 0.05
        yield running


def started(worker: str, queue_ms: int = 7) -> Frame:
    payload = json.dumps({"worker": worker, "queue_ms": queue_ms}).encode()
    return Frame(Kind.STARTED, 0, payload=payload)


def prompt(total: int) -> Frame:
    progress = {"prompt_progress": {"total": total, "cache": 0}}
    return Frame(Kind.PROMPT, 1, payload=b"data: " + json.dumps(progress).encode())


def chunk(seq: int, tokens: int, id_: str, finish: str | None = None, **delta: Any) -> Frame:
    choice = {"finish_reason": finish, "index": 0, "delta": delta}
    text = json.dumps({"choices": [choice], "id": id_}, separators=(",", ":"))
    return Frame(Kind.CHUNK, seq, tokens, b"data: " + text.encode() + b"\n\n")


def done(seq: int, completion: int) -> Frame:
    usage = {"prompt_tokens": 9, "completion_tokens": completion}
    return Frame(Kind.DONE, seq, payload=json.dumps(usage).encode())


BEGUN = (
    started("w1"),
    prompt(5),
    chunk(2, 1, "a", content="Once"),
    chunk(3, 2, "a", content=" up"),
)
REST = (
    started("w2", 900),
    prompt(7),
    chunk(2, 1, "b", role="assistant", content="on"),
    chunk(3, 2, "b", "stop"),
    done(4, 2),
)


def events(text: str) -> list[dict[str, Any]]:
    *shown, end = text.split("\n\n")
    assert end == ""
    return [json.loads(event[6:]) for event in shown if event.startswith("data: {")]


def text_of(answer: list[dict[str, Any]]) -> str:
    return "".join(c["delta"].get("content", "") for e in answer for c in e.get("choices", ()))


def test_stream_goes_on_as_if_nothing_had_happened(
    api: Service, caplog: pytest.LogCaptureFixture
) -> None:
    api.queue.frames, api.queue.later, api.queue.continued = BEGUN, ((LOST,), 0.05), [REST]
    with caplog.at_level("INFO", log.name):
        answer = api.chat(make_chat(stream=True))
    shown = events(answer.text)
    assert text_of(shown) == "Once upon"
    assert {event["id"] for event in shown} == {"a"}
    assert answer.text.endswith("data: [DONE]\n\n")
    assert answer.text.count("[DONE]") == answer.text.count('finish_reason":"stop') == 1
    (rest,) = api.queue.rests
    assert json.loads(rest.body)["messages"][-1]["content"] == "Once up"
    assert answer.headers["x-llamaq-worker"] == "w1"
    for part in ("worker=w2", "queue_ms=7", "tokens=4", "status=200"):
        assert part in caplog.text
    assert rest.shown == Shown(tokens=2, prompt=5)


def test_queue_is_told_what_the_client_of_an_answer_that_broke_off_was_shown(api: Service) -> None:
    api.queue.frames, api.queue.later = BEGUN, ((LOST,), 0.05)
    api.queue.frames = (*BEGUN[:2], chunk(2, 1, "a", tool_calls=[{"index": 0}]))
    assert "tool" in api.chat(make_chat(stream=True)).text
    assert api.queue.shown == [Shown(tokens=1, prompt=5)]


def test_stream_goes_on_twice(api: Service) -> None:
    api.queue.frames, api.queue.continued = (*BEGUN, LOST), [(*REST[:3], LOST), REST]
    shown = events(api.chat(make_chat(stream=True)).text)
    assert text_of(shown) == "Once uponon"
    assert json.loads(api.queue.rests[1].body)["messages"][-1]["content"] == "Once upon"


def test_choices_go_on_each_for_itself(api: Service) -> None:
    api.queue.frames, api.queue.continued = (*BEGUN, LOST), [REST, REST]
    shown = events(api.chat(make_chat(stream=True, n=2)).text)
    texts = {
        index: text_of([e for e in shown if e["choices"][0]["index"] == index]) for index in (0, 1)
    }
    assert texts == {0: "Once upon", 1: "Once upon"}
    assert len({event["id"] for event in shown}) == 1


def test_limit_reached_at_the_seam_needs_no_worker(api: Service) -> None:
    api.queue.frames = (*BEGUN, LOST)
    options = {"include_usage": True}
    answer = api.chat(make_chat(stream=True, max_tokens=2, stream_options=options))
    last, usage = events(answer.text)[-2:]
    assert last["choices"][0]["finish_reason"] == "length"
    assert (usage["usage"]["prompt_tokens"], usage["usage"]["completion_tokens"]) == (5, 2)
    assert answer.text.endswith("data: [DONE]\n\n")
    assert not api.queue.rests


def test_full_context_ends_the_stream_as_it_would_have(api: Service) -> None:
    said = {"status": 400, "body": '{"error":{"type":"exceed_context_size_error"}}'}
    refused = Frame(Kind.REJECTED, 2, payload=json.dumps(said).encode())
    api.queue.frames, api.queue.continued = (*BEGUN, LOST), [(*REST[:2], refused)]
    answer = api.chat(make_chat(stream=True))
    assert events(answer.text)[-1]["choices"][0]["finish_reason"] == "length"
    assert answer.text.endswith("data: [DONE]\n\n")


def error_of(answer: str) -> dict[str, Any]:
    """The error event of a stream, which must be its last and its only one."""
    *shown, last = events(answer)
    assert not any("error" in event for event in shown)
    assert "[DONE]" not in answer
    error: dict[str, Any] = last["error"]
    assert "again" in error["message"]
    return error


def test_tool_call_ends_with_one_error(api: Service) -> None:
    call = chunk(4, 3, "a", tool_calls=[{"index": 0, "function": {"name": "f"}}])
    api.queue.frames, api.queue.later = (*BEGUN, call), ((LOST,), 0.05)
    error = error_of(api.chat(make_chat(stream=True)).text)
    assert error["code"] == "worker_failed"
    assert error["message"].startswith(
        "It crashed. The answer can't go on elsewhere, because it was"
    )
    assert not api.queue.rests


def test_text_that_comes_together_with_the_loss_is_shown_first(api: Service) -> None:
    call = chunk(4, 3, "a", tool_calls=[{"index": 0, "function": {"name": "f"}}])
    api.queue.frames = (*BEGUN, call, LOST)
    answer = api.chat(make_chat(stream=True))
    assert answer.status_code == 200
    assert [e["id"] for e in events(answer.text)[:-1]] == ["a"] * 3
    assert error_of(answer.text)["code"] == "worker_failed"


def test_refusal_of_the_rest_is_one_error(api: Service) -> None:
    refused = Frame(Kind.FAILED, FROM_SCRIPT, payload=b'{"code":"worker_failed","message":"again"}')
    api.queue.frames, api.queue.continued = (*BEGUN, LOST), [(refused,)]
    assert error_of(api.chat(make_chat(stream=True)).text)["code"] == "worker_failed"


def test_stream_that_no_equal_worker_can_continue_ends_with_one_error(api: Service) -> None:
    api.queue.frames, api.queue.needs = (*BEGUN, LOST), SAME
    api.registry.models = {"tiny": a_model(a_worker(fingerprint="other"))}
    error = error_of(api.chat(make_chat(stream=True)).text)
    assert "no other has the same model" in error["message"]


def test_stream_ends_with_one_error_where_no_worker_is_left(api: Service) -> None:
    api.queue.frames, api.queue.needs = (*BEGUN, LOST), SAME
    api.registry.models = {"tiny": a_model(seen_s=31.0)}
    assert error_of(api.chat(make_chat(stream=True)).text)["code"] == "model_unavailable"


def test_answer_that_nobody_has_seen_begins_anew(api: Service) -> None:
    api.queue.frames, api.queue.continued = (*BEGUN, LOST), [REST]
    answer = api.chat(make_chat())
    assert answer.json()["choices"][0]["message"]["content"] == "on"
    (rest,) = api.queue.rests
    assert (rest.body, rest.same_fingerprint) == (api.queue.jobs[0].body, False)
