"""What clients of llama.cpp's own endpoints see, as one answer and as a stream."""

import json
from typing import Any

import pytest

from api.endpoint import CannotContinue, Piece
from api.errors import ApiError
from api.json_text import compact
from api.native.completion import parse_native_completion
from api.native.request import NativeRequest
from api.native.shape import NativeShape
from api.native.splice import InfillSplice, NativeSplice
from api.native.whole import NativeAssembly
from api.sse import json_event
from dispatcher.errors import WorkerFailed
from dispatcher.job import Job, Want
from testing.builders import make_settings

SETTINGS = make_settings()


def asked(**fields: Any) -> NativeRequest:
    return parse_native_completion(compact({"prompt": "Once", **fields}), SETTINGS)


def part(text: str, tokens: int, **more: Any) -> bytes:
    counts = {"stop": False, "id_slot": -1, "tokens_predicted": tokens, "tokens_evaluated": 4}
    return json_event({"index": 0, "content": text, "tokens": [tokens], **counts, **more})


def last(tokens: int, **more: Any) -> bytes:
    said = {"index": 0, "content": "", "tokens": [], "id_slot": 1, "stop": True, "model": "tiny"}
    settings = {"n_predict": 9, "max_tokens": 9, "stream": True, "timings_per_token": True}
    counts = {"tokens_predicted": tokens, "tokens_evaluated": 4}
    told = {"generation_settings": settings, "prompt": "Once", "stop_type": "limit"}
    return json_event({**said, **counts, **told, **more})


ANSWER = part("a", 1) + part("b", 2) + last(2)


def whole(request: NativeRequest, *answers: bytes) -> Any:
    assembly = NativeAssembly(request)
    for choice, events in enumerate(answers):
        assembly.add(choice, events)
    return json.loads(assembly.body())


def test_whole_answer_is_made_of_the_events() -> None:
    said = whole(asked(), ANSWER)
    settings = {"n_predict": 9, "max_tokens": 9, "stream": False, "timings_per_token": False}
    assert said == {
        **{"index": 0, "content": "ab", "tokens": [], "id_slot": 1, "stop": True, "model": "tiny"},
        **{"tokens_predicted": 2, "tokens_evaluated": 4, "generation_settings": settings},
        **{"prompt": "Once", "stop_type": "limit"},
    }


def test_tokens_and_timings_are_told_where_they_are_asked_for() -> None:
    said = whole(asked(return_tokens=True, timings_per_token=True), ANSWER)
    assert said["tokens"] == [1, 2]
    assert said["generation_settings"]["timings_per_token"] is True


def test_tokens_that_a_stream_does_not_tell_are_an_error_not_a_gap() -> None:
    with pytest.raises(WorkerFailed, match="return_tokens"):
        whole(asked(return_tokens=True), part("é", 2) + last(2))


def test_several_answers_are_a_list_with_numbers() -> None:
    said = whole(asked(prompt=["a", "b"]), ANSWER, part("c", 1) + last(1))
    assert [(one["index"], one["content"]) for one in said] == [(0, "ab"), (1, "c")]


def test_answer_that_begins_anew_forgets_what_came() -> None:
    assembly = NativeAssembly(asked())
    assembly.add(0, part("x", 1))
    assembly.restart(0)
    assembly.add(0, ANSWER)
    assert json.loads(assembly.body())["content"] == "ab"


def test_answer_without_its_last_event_is_an_error() -> None:
    with pytest.raises(WorkerFailed, match="early"):
        whole(asked(), part("a", 1))


def test_probabilities_of_the_stop_word_are_left_out() -> None:
    def likely(token: int) -> dict[str, Any]:
        return {"completion_probabilities": [{"id": token}]}

    held = part("a", 1, **likely(1)) + part("", 2, **likely(2)) + part("", 3, **likely(3))
    told = whole(asked(n_probs=1), held + last(3, stop_type="word"))
    assert [one["id"] for one in told["completion_probabilities"]] == [1]
    told = whole(asked(n_probs=1), held + last(3))
    assert [one["id"] for one in told["completion_probabilities"]] == [1, 2, 3]


def test_only_the_chosen_fields_are_told() -> None:
    paths = ["content", "generation_settings/n_predict", "nothing", "content/x", "tokens_predicted"]
    said = whole(asked(response_fields=paths), ANSWER)
    expected = {"content": "ab", "generation_settings/n_predict": 9, "tokens_predicted": 2}
    assert said == expected
    assert whole(asked(response_fields=["nothing"]), ANSWER) == {}


def shown(request: NativeRequest, *pieces: Piece) -> bytes:
    shape = NativeShape(request)
    return b"".join(map(shape.take, pieces)) + shape.end()


def test_stream_is_the_servers_own_with_its_end_as_it_was_asked_for() -> None:
    stream = shown(asked(stream=True), Piece(0, part("a", 1)), Piece(0, part("b", 2) + last(2)))
    end = json.loads(last(2)[6:])
    end["generation_settings"]["timings_per_token"] = False
    assert stream == part("a", 1) + part("b", 2) + json_event(end)


def test_streams_of_several_prompts_have_numbers() -> None:
    text = '{"index":0,'
    request = asked(stream=True, prompt=["a", "b"])
    stream = shown(request, Piece(1, part(text, 1)), Piece(0, last(1)), Piece(1, last(1)))
    events = [json.loads(one[6:]) for one in stream.split(b"\n\n") if one]
    assert [event["index"] for event in events] == [1, 0, 1]
    assert events[0]["content"] == text


def test_streams_last_event_has_only_the_chosen_fields() -> None:
    request = asked(stream=True, response_fields=["content", "stop_type"])
    stream = shown(request, Piece(0, ANSWER))
    assert stream == part("a", 1) + part("b", 2) + json_event({"content": "", "stop_type": "limit"})


def test_stream_that_began_does_not_begin_anew() -> None:
    shape = NativeShape(asked(stream=True))
    assert shape.take(Piece(0, restart=True)) == b""
    shape.take(Piece(0, part("a", 1)))
    with pytest.raises(WorkerFailed):
        shape.take(Piece(0, restart=True))


def test_stream_that_fails_ends_with_an_error() -> None:
    error = NativeShape(asked(stream=True)).fail(
        ApiError(502, "It broke.", type="server_error", code="worker_failed")
    )
    assert json.loads(error[6:])["error"]["message"] == "It broke."


def job(*, streamed: bool = True, **fields: Any) -> Job:
    wants = frozenset({Want.STREAM} if streamed else {})
    body = compact({"model": "tiny", "prompt": "Once", **fields})
    return Job("j", "tiny", "ann", body, wants, 9, 9, completion_tokens=9)


def test_what_nobody_has_seen_begins_anew() -> None:
    for splice in (NativeSplice(job()), InfillSplice(job()), NativeSplice(job(streamed=False))):
        splice.show(part("", 0), 0)
        if not splice._job.is_streamed:
            splice.show(part("a", 1), 1)
        rest = splice.lose()
        assert rest is not None
        assert (rest.body, rest.same_fingerprint) == (splice._job.body, False)


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("Once", "Onceab"),
        ([1, 2], [1, 2, "ab"]),
        ([1, "x"], [1, "xab"]),
    ],
)
def test_prompt_of_what_is_left_ends_with_what_was_seen(prompt: Any, expected: Any) -> None:
    splice = NativeSplice(job(prompt=prompt, n_predict=9))
    splice.show(part("a", 1) + part("b", 2), 2)
    splice.show(part("", 3), 3)  # held back: it may become a stop string
    rest = splice.lose()
    assert rest is not None
    asked = json.loads(rest.body)
    assert (asked["prompt"], asked["n_predict"]) == (expected, 7)
    assert (rest.same_fingerprint, rest.seen_tokens, rest.completion_tokens) == (True, 2, 7)


def test_text_that_was_seen_is_read_as_it_was_meant() -> None:
    texts = ["a", '"\\', "\n\u0001", "é😀", '"stop":true', "", "b"]
    splice = NativeSplice(job(prompt=""))
    for tokens, text in enumerate(texts, 1):
        splice.show(part(text, tokens), 0)
    rest = splice.lose()
    assert rest is not None
    assert json.loads(rest.body)["prompt"] == "".join(texts)
    assert rest.seen_tokens == 7


def test_later_attempts_count_for_the_whole_and_tell_no_token_twice() -> None:
    splice = NativeSplice(job(n_predict=9))
    splice.show(part("a", 1) + part("b", 2) + part("", 3), 3)
    splice.lose()
    told = splice.show(part("c", 1, tokens_evaluated=6) + part("d", 2, tokens_evaluated=6), 2)
    parts = [json.loads(one[6:]) for one in told.split(b"\n\n") if one]
    counts = [(one["tokens_predicted"], one["tokens_evaluated"], one["tokens"]) for one in parts]
    assert counts == [(3, 4, []), (4, 4, [2])]
    seven = {"generation_settings": {"n_predict": 7, "max_tokens": 7}}
    timings = {"timings": {"cache_n": 5, "prompt_n": 1, "predicted_n": 7}}
    end = json.loads(splice.show(last(7, prompt="Onceab", **seven, **timings), 7)[6:])
    assert (end["prompt"], end["tokens_predicted"], end["tokens_evaluated"]) == ("Once", 9, 4)
    assert end["generation_settings"] == {"n_predict": 9, "max_tokens": 9}
    assert end["timings"]["predicted_n"] == 9


def test_complete_answer_has_nothing_left() -> None:
    splice = NativeSplice(job())
    splice.show(ANSWER, 2)
    assert (splice.lose(), splice.end()) == (None, b"")


def test_limit_that_is_reached_leaves_only_the_last_event() -> None:
    splice = NativeSplice(job(n_predict=2))
    splice.show(part("a", 1) + part("b", 2), 2)
    assert splice.lose() is None
    end = json.loads(splice.end()[6:])
    told = {"stop": True, "stop_type": "limit", "tokens_predicted": 2, "tokens_evaluated": 4}
    assert told.items() <= end.items()


@pytest.mark.parametrize("fields", [{"grammar": "root ::= [a-z]*"}, {"json_schema": {}}], ids=str)
def test_grammar_would_begin_anew(fields: dict[str, Any]) -> None:
    splice = NativeSplice(job(**fields))
    splice.show(part("a", 1), 1)
    with pytest.raises(CannotContinue, match="grammar"):
        splice.lose()


def test_what_can_not_be_read_is_not_continued() -> None:
    splice = NativeSplice(job())
    splice.show(part("a", 1) + json_event({"strange": 1}), 2)
    with pytest.raises(CannotContinue):
        splice.lose()


def test_gap_that_was_begun_is_not_filled_by_another() -> None:
    splice = InfillSplice(job())
    splice.show(part("a", 1), 1)
    with pytest.raises(CannotContinue, match="gap"):
        splice.lose()


def test_gap_that_was_filled_is_complete() -> None:
    splice = InfillSplice(job())
    splice.show(ANSWER, 2)
    assert splice.lose() is None
