"""The stream of one choice over several attempts looks like one. Pure."""

import json
from typing import Any

import pytest

from api.chat.splice import Splice
from dispatcher.job import Job, Want

PROGRESS = b'data: {"choices":[],"prompt_progress":{"total":9,"cache":4,"processed":4}}'
COUNTS = {"cache_n": 3, "prompt_n": 8, "predicted_n": 5}
RATES = {"prompt_per_token_ms": 2.0, "predicted_per_token_ms": 10.0, "predicted_per_second": 100.0}


def job(*wants: Want, **fields: Any) -> Job:
    body = json.dumps({"messages": [{"role": "user", "content": "Hi"}]} | fields).encode()
    return Job("j", "tiny", "ann", body, frozenset({Want.STREAM, *wants}), 9, 9)


def event(id_: str, delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    choice = {"finish_reason": finish, "index": 0, "delta": delta}
    chunk = {"choices": [choice], "created": ord(id_), "id": id_, "model": "tiny"} | more
    text = json.dumps(chunk, ensure_ascii=False, separators=(",", ":"))
    return b"data: " + text.encode() + b"\n\n"


def role(id_: str) -> bytes:
    return event(id_, {"role": "assistant", "content": None})


def usage(id_: str, prompt: int, completion: int) -> bytes:
    counts = {"completion_tokens": completion, "prompt_tokens": prompt, "total_tokens": 0}
    counts |= {"prompt_tokens_details": {"cached_tokens": 2}}  # type: ignore[dict-item]
    chunk = {"choices": [], "id": id_, "usage": counts}
    return b"data: " + json.dumps(chunk, separators=(",", ":")).encode() + b"\n\n"


def read(shown: bytes) -> list[dict[str, Any]]:
    return [json.loads(part[6:]) for part in shown.split(b"\n\n") if part]


def lost(splice: Splice, *, prompt: bytes = PROGRESS) -> None:
    """Three tokens came, then the worker was lost."""
    if prompt:
        splice.note_prompt(prompt)
    first = role("a") + event("a", {"content": "One"})
    assert splice.show(first, 3) == first
    assert splice.lose() is not None


def test_first_attempt_passes_byte_by_byte() -> None:
    splice = Splice(job())
    for events in (role("a"), b": alive\n\n", event("a", {"content": "x"}), usage("a", 1, 2)):
        assert splice.show(events, 1) == events


def test_what_follows_has_the_first_names_and_no_second_role() -> None:
    splice = Splice(job())
    lost(splice)
    assert splice.show(role("b"), 0) == b""
    (chunk,) = read(splice.show(event("b", {"role": "assistant", "content": " twö"}), 1))
    assert (chunk["id"], chunk["created"]) == ("a", ord("a"))
    assert chunk["choices"][0]["delta"] == {"content": " twö"}
    (last,) = read(splice.show(event("b", {}, "stop"), 2))
    assert last["choices"][0] == {"finish_reason": "stop", "index": 0, "delta": {}}
    (chunk,) = read(splice.show(b": alive\n" + event("b", {"content": "x"}), 3))
    assert chunk["choices"][0]["delta"] == {"content": "x"}


def test_prompt_and_completion_are_counted_as_a_whole() -> None:
    splice = Splice(job())
    lost(splice)
    (chunk,) = read(splice.show(usage("b", 12, 5), 5))
    assert chunk["usage"] == {
        **{"completion_tokens": 8, "prompt_tokens": 9, "total_tokens": 17},
        "prompt_tokens_details": {"cached_tokens": 4},
    }
    assert (chunk["id"], chunk["choices"]) == ("a", [])


def test_prompt_is_estimated_where_the_first_worker_didn_t_tell_it() -> None:
    splice = Splice(job())
    lost(splice, prompt=b"")
    (chunk,) = read(splice.show(usage("b", 12, 5), 5))
    assert (chunk["usage"]["prompt_tokens"], chunk["usage"]["total_tokens"]) == (9, 17)


def test_prompt_of_the_continuation_is_not_the_request_s() -> None:
    splice = Splice(job())
    lost(splice)
    splice.note_prompt(b'data: {"prompt_progress":{"total":12,"cache":12}}')
    (chunk,) = read(splice.show(usage("b", 12, 5), 5))
    assert chunk["usage"]["prompt_tokens"] == 9


def test_timings_count_the_whole_at_the_rates_of_the_last_part() -> None:
    splice = Splice(job())
    lost(splice)
    timings = {**COUNTS, **RATES, "prompt_ms": 16.0, "predicted_ms": 50.0}
    (chunk,) = read(splice.show(event("b", {}, "stop", timings=timings), 5))
    assert chunk["timings"] == {
        **RATES,
        **{"cache_n": 4, "prompt_n": 5, "predicted_n": 8},
        **{"prompt_ms": 10.0, "predicted_ms": 80.0},
    }


def test_strange_timings_pass() -> None:
    splice = Splice(job())
    lost(splice)
    (chunk,) = read(splice.show(event("b", {}, "stop", timings={"x": 1}), 5))
    assert chunk["timings"] == {"x": 1}


@pytest.mark.parametrize("strange", [b'data: {"a"', b'data: {"a":1}', b'data: {"choices":[1]}'])
def test_strange_events_pass(strange: bytes) -> None:
    splice = Splice(job())
    lost(splice)
    assert splice.show(strange + b"\n\n", 1) == strange + b"\n\n"


def test_progress_is_shown_to_those_who_asked() -> None:
    splice = Splice(job(Want.PROGRESS))
    lost(splice)
    progress = {"total": 12, "cache": 0, "processed": 12}
    delta = {"role": "assistant", "content": None}
    (chunk,) = read(splice.show(event("b", delta, prompt_progress=progress), 0))
    assert chunk["prompt_progress"] == progress
    assert chunk["choices"][0]["delta"] == {}


def test_second_loss_counts_on_from_the_first() -> None:
    splice = Splice(job(max_tokens=20))
    lost(splice)
    splice.note_prompt(b'data: {"prompt_progress":{"total":12,"cache":12}}')
    splice.show(role("b") + event("b", {"content": " two"}), 4)
    rest = splice.lose()
    assert rest
    assert splice.seen_tokens == rest.seen_tokens == 7
    body = json.loads(rest.body)
    assert body["messages"][-1] == {"role": "assistant", "content": "One two"}
    assert body["max_tokens"] == 13
    (chunk,) = read(splice.show(usage("c", 16, 5), 5))
    assert (chunk["id"], chunk["usage"]["total_tokens"]) == ("a", 9 + 12)


def test_death_before_anything_new_changes_nothing() -> None:
    splice = Splice(job())
    lost(splice)
    splice.show(role("b"), 0)
    rest = splice.lose()
    assert rest
    assert rest.seen_tokens == 3


def test_answer_of_which_only_the_role_was_seen_begins_anew_under_its_name() -> None:
    splice = Splice(job())
    splice.show(role("a"), 0)
    rest = splice.lose()
    assert rest
    assert (rest.seen_tokens, rest.body) == (0, job().body)
    (chunk,) = read(splice.show(role("b") + event("b", {"content": "x"}), 1))
    assert (chunk["id"], chunk["choices"][0]["delta"]) == ("a", {"content": "x"})


@pytest.mark.parametrize("asked", [False, True])
def test_limit_that_was_reached_at_the_seam_ends_the_stream(asked: bool) -> None:
    splice = Splice(job(*([Want.USAGE] if asked else []), max_tokens=3))
    splice.note_prompt(PROGRESS)
    splice.show(role("a") + event("a", {"content": "One"}), 3)
    assert splice.lose() is None
    last, *usages = read(splice.end())
    assert last["choices"] == [{"finish_reason": "length", "index": 0, "delta": {}}]
    assert (last["id"], last["object"]) == ("a", "chat.completion.chunk")
    assert [chunk["usage"]["total_tokens"] for chunk in usages] == [12] * asked


def test_finish_reason_comes_once() -> None:
    splice = Splice(job(Want.USAGE))
    splice.note_prompt(PROGRESS)
    splice.show(event("a", {"content": "One"}) + event("a", {}, "stop"), 3)
    assert splice.lose() is None
    (only,) = read(splice.end())
    assert only["usage"]["completion_tokens"] == 3
    assert only["choices"] == []


def test_nothing_is_missing_where_the_usage_was_seen() -> None:
    """The worker was lost before it could say that the answer was complete."""
    splice = Splice(job(Want.USAGE))
    splice.show(event("a", {"content": "One"}) + event("a", {}, "stop") + usage("a", 9, 3), 3)
    assert splice.lose() is None
    assert splice.end() == b""
