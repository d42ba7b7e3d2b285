"""A stream of a text completion: joined, assembled, remembered and continued. Pure."""

import json
import random
from typing import Any

import pytest

from api.completions.completion import Completion, merge
from api.completions.seen import Memory, Seen
from api.completions.splice import Splice, continuation
from api.endpoint import CannotContinue, Piece
from api.errors import ApiError
from api.shape import ChunkShape
from api.sse import DONE
from dispatcher.errors import WorkerFailed
from dispatcher.job import Job, Want
from dispatcher.joined_text import joined

NAMES = {"created": 1, "model": "tiny", "system_fingerprint": "b0-unknown"}
PROGRESS = b'data: {"choices":[],"prompt_progress":{"total":9,"cache":4,"processed":4}}'
WORDS = ("a", 'b"', "c\\", "\n", " word", "é", "", '"}],"', "\ud83d", "\U0001f600")
TRAP = '","index":0,"logprobs":null,"finish_reason":null}],"created":1'
LOGPROBS = {"content": [{"token": "a", "logprob": -0.5}]}


def event(
    text: str,
    finish: str | None = None,
    logprobs: Any = None,
    id_: str = "a",
    **more: Any,
) -> bytes:
    choice = {"text": text, "index": 0, "logprobs": logprobs, "finish_reason": finish}
    chunk = {"choices": [choice], **NAMES, "object": "text_completion"}
    chunk |= {name: more.pop(name) for name in ("usage",) if name in more} | {"id": id_} | more
    ascii_ = any("\ud800" <= letter <= "\udfff" for letter in text)
    return f"data: {json.dumps(chunk, ensure_ascii=ascii_, separators=(',', ':'))}\n\n".encode()


def usage(prompt: int, made: int, cached: int = 0) -> dict[str, Any]:
    counts = {"completion_tokens": made, "prompt_tokens": prompt, "total_tokens": prompt + made}
    return {**counts, "prompt_tokens_details": {"cached_tokens": cached}}


def last(prompt: int = 9, made: int = 3, id_: str = "a", cached: int = 0, **more: Any) -> bytes:
    return event("", "length", id_=id_, usage=usage(prompt, made, cached), **more)


def chunks(shown: bytes) -> list[dict[str, Any]]:
    return [json.loads(one[6:]) for one in shown.split(b"\n\n") if one]


def some_event(chance: random.Random) -> bytes:
    word = chance.choice((*WORDS, TRAP))
    odd = (
        event(word, timings={"prompt_n": 1}),
        event(word, logprobs=LOGPROBS),
        event(word, "stop"),
        event(word, prompt_progress={"total": 1}),
        event(word, created=2),
        b": alive\n",
        b'data: {"error":{"message":"no"}}\n\n',
    )
    return event(word) if chance.random() < 0.8 else chance.choice(odd)


def read(parts: list[bytes]) -> object:
    completion, memory = Completion(), Memory()
    for part in parts:
        memory.add(part, 7)
    try:
        for part in [*parts, last()]:
            completion.add(part)
    except ApiError as error:
        return error.message, memory.seen
    return completion.choice(), memory.seen


def test_text_that_lies_side_by_side_becomes_one_event() -> None:
    said = [event(word) for word in ("a", 'b"', TRAP, "d")] * 4
    rest = (f'ab"{TRAP}d' * 4)[1:]
    progress = event("", prompt_progress={"total": 3})
    whole = joined(b"".join([progress, *said, last()]))
    assert whole == progress + event("a") + event(rest) + last()


@pytest.mark.parametrize("seed", range(20))
def test_much_at_once_says_the_same_as_event_by_event(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    for _ in range(20):
        events = [some_event(chance) for _ in range(chance.randrange(24))]
        assert read([joined(b"".join(events))]) == read(events)


def test_text_is_read_without_a_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    completion, memory, parsed = Completion(), Memory(), []
    for part in (event("Zü"), event(TRAP)):
        completion.add(part)
        memory.add(part, 1)
    assert memory.seen.text == "Zü" + TRAP
    monkeypatch.setattr(Completion, "_add_data", lambda _, data: parsed.append(data))
    monkeypatch.setattr("api.seen.Reader._parse", lambda _, data, tokens: parsed.append(data))
    completion.add(event("rich") * 3)
    memory.add(event("rich") * 3, 4)
    assert (memory.seen.text, memory.seen.tokens) == ("Zü" + TRAP + "rich" * 3, 4)
    assert not parsed


def test_whole_answer_has_the_server_s_fields() -> None:
    completion = Completion()
    completion.add(event("Zü") + event("rich")[:20])
    completion.add(event("rich")[20:] + last(timings={"prompt_n": 1}) + DONE)
    choice = {"text": "Zürich", "index": 0, "logprobs": None, "finish_reason": "length"}
    assert merge(1, [completion]) == {
        **{"choices": [choice], **NAMES, "object": "text_completion", "usage": usage(9, 3)},
        **{"id": "a", "timings": {"prompt_n": 1}},
    }


def test_logprobs_of_all_chunks_are_those_of_the_answer() -> None:
    completion = Completion()
    completion.add(event("a", logprobs=LOGPROBS) * 2 + last())
    assert completion.choice(3)["logprobs"] == {"content": LOGPROBS["content"] * 2}
    assert completion.choice(3)["index"] == 3


def test_usage_counts_each_prompt_once_and_all_that_was_made() -> None:
    completions = [Completion() for _ in range(4)]
    for number, completion in enumerate(completions):
        completion.add(event("a") + last(prompt=5 + number // 2, made=number, cached=2))
    assert merge(2, completions)["usage"] == usage(5 + 6, 0 + 1 + 2 + 3, cached=4)


def test_answer_that_ends_early_is_an_error() -> None:
    completion = Completion()
    completion.add(event("a"))
    with pytest.raises(WorkerFailed):
        completion.choice()


def test_stream_of_several_has_one_id_and_each_choice_its_usage() -> None:
    shape = ChunkShape(2, "x")
    shown = shape.take(Piece(0, event("a"))) + shape.take(Piece(1, event("b") + last(made=2)))
    shown += shape.take(Piece(0, last(made=3)))
    assert [(chunk["id"], chunk["choices"][0]["index"]) for chunk in chunks(shown)] == [
        *(("x", 0), ("x", 1), ("x", 1), ("x", 0))
    ]
    assert [chunk["usage"]["completion_tokens"] for chunk in chunks(shown) if "usage" in chunk] == [
        *(2, 3)
    ]
    assert shape.end() == DONE


def job(prompt: Any = "Once", **fields: Any) -> Job:
    body = json.dumps({"prompt": prompt, "stream": True} | fields).encode()
    wants = frozenset({Want.STREAM, Want.USAGE})
    return Job("j", "tiny", "ann", body, wants, 9, 9, prompt_tokens=10, completion_tokens=20)


SEEN = Seen(names={"id": "a"}, text=" upon", tokens=3)


@pytest.mark.parametrize(
    ("prompt", "longer"),
    [
        ("Once", "Once upon"),
        ([1, 2], [1, 2, " upon"]),
        ([1, "Once"], [1, "Once upon"]),
        (["Once", 2], ["Once", 2, " upon"]),
    ],
)
def test_text_so_far_stands_behind_the_prompt(prompt: Any, longer: Any) -> None:
    rest = continuation(job(prompt, max_tokens=9, temperature=0), SEEN)
    assert rest
    body = {"prompt": longer, "stream": True, "max_tokens": 6, "temperature": 0}
    assert json.loads(rest.body) == body
    assert (rest.same_fingerprint, rest.seen_tokens) == (True, 3)
    assert (rest.prompt_tokens, rest.completion_tokens) == (13, 17)


def test_answer_without_text_begins_anew_on_any_worker() -> None:
    rest = continuation(job(grammar="root ::= [a-z]"), Seen(names={"id": "a"}, tokens=1))
    assert rest
    assert (rest.body, rest.same_fingerprint) == (job(grammar="root ::= [a-z]").body, False)


@pytest.mark.parametrize(
    ("fields", "seen"),
    [
        ({"max_tokens": 3}, SEEN),
        ({"n_predict": 2, "max_tokens": 9}, SEEN),
        ({}, Seen(names={"id": "a"}, text="a", tokens=3, finish_reason="stop")),
    ],
)
def test_nothing_is_left_of_an_answer_that_is_all_there(fields: Any, seen: Seen) -> None:
    assert continuation(job(**fields), seen) is None


@pytest.mark.parametrize(
    ("fields", "seen", "reason"),
    [
        ({"grammar": "root ::= [a-z]"}, SEEN, "its `grammar` would start over"),
        ({"json_schema": {}}, SEEN, "its `json_schema` would start over"),
        ({"json_schema": {"type": "string"}}, SEEN, "its `json_schema` would start over"),
        ({}, Seen(names={"id": "a"}, text="a", tokens=1, is_strange=True), "not as llama-server"),
    ],
)
def test_answer_that_can_t_go_on_says_why(fields: Any, seen: Seen, reason: str) -> None:
    with pytest.raises(CannotContinue, match=reason):
        continuation(job(**fields), seen)


def lost(splice: Splice) -> None:
    """Three tokens came, then the worker was lost."""
    splice.note_prompt(PROGRESS)
    first = event("Once") + event(" upon")
    assert splice.show(first, 3) == first
    splice.lose()


def test_what_follows_has_the_first_names_and_counts_of_the_whole() -> None:
    splice = Splice(job())
    lost(splice)
    assert splice.is_spliced
    assert splice.show(event("", id_="b"), 0) == b""
    (chunk,) = chunks(splice.show(event(" ä", id_="b"), 1))
    assert (chunk["id"], chunk["choices"][0]["text"]) == ("a", " ä")
    (chunk,) = chunks(splice.show(event("", logprobs=LOGPROBS, id_="b"), 1))
    assert chunk["choices"][0]["logprobs"] == LOGPROBS
    timings = {"cache_n": 2, "prompt_n": 10, "predicted_n": 5}
    (chunk,) = chunks(splice.show(last(12, 5, id_="b", timings=timings), 5))
    assert (chunk["id"], chunk["usage"]) == ("a", usage(9, 8, cached=4))
    assert (chunk["timings"]["prompt_n"], chunk["timings"]["predicted_n"]) == (5, 8)
    assert chunk["choices"][0]["finish_reason"] == "length"


def test_stream_whose_text_is_all_there_gets_its_end() -> None:
    splice = Splice(job(max_tokens=3))
    lost(splice)
    (chunk,) = chunks(splice.end())
    (choice,) = chunk["choices"]
    assert choice == {"text": "", "index": 0, "logprobs": None, "finish_reason": "length"}
    assert chunk == {"choices": [choice], **NAMES, "object": "text_completion", "id": "a"} | {
        "usage": usage(9, 3, cached=4)
    }


def test_stream_that_has_said_why_it_ends_gets_no_more() -> None:
    splice = Splice(job())
    splice.show(event("a") + last(), 3)
    assert splice.lose() is None
    assert splice.end() == b""
