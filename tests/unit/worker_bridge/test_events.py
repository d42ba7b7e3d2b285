"""Events of llama-server, as bytes: the reference's examples, and what a real server sends."""

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from dispatcher.job import Want
from testing.processes import LlamaServer, free_port
from worker_bridge.answer import model_of
from worker_bridge.events import (
    Type,
    for_client,
    prompt_is_done,
    read_event,
    with_timings_of,
)

ROLE = (
    b'data: {"choices":[{"finish_reason":null,"index":0,"delta":{"role":"assistant",'
    b'"content":null}}],"created":1795393083,"id":"chatcmpl-f2g6","model":"tiny",'
    b'"system_fingerprint":"b11434-unknown","object":"chat.completion.chunk"}'
)
TIMINGS = b',"timings":{"cache_n":6,"prompt_n":11,"prompt_ms":0.69,"predicted_n":4}'
LAST = (
    b'data: {"choices":[{"finish_reason":"length","index":0,"delta":{}}],"created":1,'
    b'"id":"c","model":"tiny","object":"chat.completion.chunk"' + TIMINGS + b"}"
)
USAGE = (
    b'data: {"choices":[],"created":1,"id":"c","model":"tiny","usage":{"completion_tokens":3,'
    b'"prompt_tokens":17,"total_tokens":20,"prompt_tokens_details":{"cached_tokens":16}}'
    + TIMINGS
    + b"}"
)
PROGRESS = (
    ROLE[:-1] + b',"prompt_progress":{"total":17,"cache":16,"processed":17,"time_ms":0}' + b"}"
)
# The chat template begins the answer, and the server says so with the progress.
THINK = ROLE.replace(b"null}", b'"<think>\\n"}')
THINK_WITH_PROGRESS = PROGRESS.replace(b"null}", b'"<think>\\n"}')
ERROR = b'data: {"error":{"code":500,"message":"Compute error.","type":"server_error"}}'
# Looks like the events' own fields, and is somebody's text.
TRAP = '"timings":{"predicted_n":99},"choices":[],"prompt_progress":{,"model":"x","error":\\'


def text_event(text: str, rest: bytes = TIMINGS) -> bytes:
    shown = json.dumps(text, ensure_ascii=False).encode()
    head = b'data: {"choices":[{"finish_reason":null,"index":0,"delta":{"content":' + shown
    return head + b'}}],"created":1,"id":"c","model":"tiny"' + rest + b"}"


def completion_event(text: str, rest: bytes = TIMINGS, finish: bytes = b"null") -> bytes:
    """A chunk of a text completion."""
    head = b'data: {"choices":[{"text":' + json.dumps(text, ensure_ascii=False).encode()
    head += b',"index":0,"logprobs":null,"finish_reason":' + finish + b'}],"created":1,'
    names = b'"model":"tiny","system_fingerprint":"b0-unknown","object":"text_completion"'
    usage = (
        USAGE[USAGE.index(b',"usage"') : USAGE.index(b',"timings"')] if finish != b"null" else b""
    )
    return head + names + usage + b',"id":"c"' + rest + b"}"


COMPLETED = completion_event("", finish=b'"length"')
COMPLETION_PROGRESS = completion_event("", PROGRESS[PROGRESS.index(b',"prompt_progress"') : -1])


@pytest.mark.parametrize(
    ("event", "type_", "tokens"),
    [
        (ROLE, Type.CHUNK, 0),
        (text_event("r"), Type.CHUNK, 4),
        (LAST, Type.LAST, 4),
        (USAGE, Type.USAGE, 4),
        (PROGRESS, Type.PROGRESS, 0),
        (ERROR, Type.ERROR, 0),
        (b"data: [DONE]", Type.DONE, 0),
        (b":", Type.NOTHING, 0),
        (b"", Type.NOTHING, 0),
        (text_event("[DONE]"), Type.CHUNK, 4),
        (text_event(TRAP), Type.CHUNK, 4),
        (completion_event("r"), Type.CHUNK, 4),
        (completion_event(TRAP), Type.CHUNK, 4),
        (completion_event('"finish_reason":"stop"'), Type.CHUNK, 4),
        (COMPLETED, Type.LAST, 4),
        (COMPLETION_PROGRESS, Type.PROGRESS, 0),
    ],
)
def test_event_is_recognised(event: bytes, type_: Type, tokens: int) -> None:
    seen = read_event(event)
    assert (seen.type, seen.tokens) == (type_, tokens)


@pytest.mark.parametrize(
    ("event", "model"),
    [
        (ROLE, b'"tiny"'),
        (text_event(TRAP), b'"tiny"'),
        (b'data: {"model":"C:\\\\a \\"b\\".gguf"}', b'"C:\\\\a \\"b\\".gguf"'),
        (ERROR, None),
    ],
)
def test_model_is_read(event: bytes, model: bytes | None) -> None:
    assert model_of(event) == model


@pytest.mark.parametrize(
    ("event", "wants", "shown"),
    [
        (PROGRESS, set(), None),
        (PROGRESS, {Want.PROGRESS}, PROGRESS),
        (THINK_WITH_PROGRESS, set(), THINK),
        (THINK_WITH_PROGRESS, {Want.PROGRESS}, THINK_WITH_PROGRESS),
        (USAGE, set(), None),
        (USAGE, {Want.USAGE}, USAGE),
        (text_event("a"), set(), text_event("a", b"")),
        (text_event("a"), {Want.TIMINGS}, text_event("a")),
        (text_event(TRAP), set(), text_event(TRAP, b"")),
        (LAST, {Want.USAGE}, LAST.replace(TIMINGS, b"")),
        (completion_event(TRAP), set(), completion_event(TRAP, b"")),
        (COMPLETION_PROGRESS, set(), None),
        (COMPLETION_PROGRESS, {Want.PROGRESS}, COMPLETION_PROGRESS),
    ],
)
def test_client_sees_what_it_asked_for(event: bytes, wants: set[Want], shown: bytes | None) -> None:
    assert for_client(event, read_event(event).type, frozenset(wants)) == shown


def test_timings_move_from_the_usage_to_the_last_chunk() -> None:
    bare = LAST.replace(TIMINGS, b"")
    assert with_timings_of(USAGE, bare) == LAST
    assert with_timings_of(USAGE.replace(TIMINGS, b""), bare) == bare


Ask = Callable[..., list[bytes]]


@pytest.fixture(scope="module")
def ask(models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """Asks a real server; the events, without their blank lines."""
    server = LlamaServer(models["tiny"], free_port(), "tiny", 1)
    fixed = {"stream": True, "temperature": 0, "cache_prompt": False, "max_tokens": 400}
    question = {"messages": [{"role": "user", "content": "Hello"}]}

    def ask(**fields: Any) -> list[bytes]:
        body = fixed | question | fields
        answer = httpx.post(f"{server.url}/v1/chat/completions", json=body, trust_env=False)
        assert answer.status_code == 200, answer.text
        return answer.content.removesuffix(b"\n\n").split(b"\n\n")

    with server.running(tmp_path_factory.mktemp("server") / "log"):
        yield ask


ALL = {
    "stream_options": {"include_usage": True},
    "return_progress": True,
    "timings_per_token": True,
}


def fields_of(event: bytes) -> Any:
    """An event without what differs between any two requests."""
    if event == b"data: [DONE]":
        return event
    chunk = json.loads(event.removeprefix(b"data: "))
    changing = {"id", "created", "timings", "prompt_progress"}
    return {name: name if name in changing else value for name, value in chunk.items()}


@pytest.mark.real
@pytest.mark.parametrize("asked", [*itertools.product([False, True], repeat=3)])
def test_client_sees_what_a_real_server_shows_for_its_options(
    ask: Ask, asked: tuple[bool, bool, bool]
) -> None:
    options = [
        (Want.USAGE, {"stream_options": {"include_usage": True}}),
        (Want.PROGRESS, {"return_progress": True}),
        (Want.TIMINGS, {"timings_per_token": True}),
    ]
    chosen = list(itertools.compress(options, asked))
    wants = frozenset(want for want, _ in chosen)
    own = ask(max_tokens=8, **{name: value for _, field in chosen for name, value in field.items()})
    seen = [(event, read_event(event).type) for event in ask(max_tokens=8, **ALL)]
    usage = next(event for event, type_ in seen if type_ is Type.USAGE)
    ours = [
        with_timings_of(usage, shown) if type_ is Type.LAST and Want.USAGE not in wants else shown
        for event, type_ in seen
        if (shown := for_client(event, type_, wants)) is not None
    ]
    assert [fields_of(event) for event in ours] == [fields_of(event) for event in own]


@pytest.mark.real
def test_text_that_looks_like_an_events_fields_passes_unharmed(ask: Ask) -> None:
    """A stop string that it nearly equals makes the server send all of it in one event."""
    text = '"x","timings":{"predicted_n":99},"choices":[],"prompt_progress":{},"model":"x"'
    events = ask(grammar=f"root ::= {json.dumps(text + '!')}", stop=[f"{text}?"], **ALL)
    found = [event for event in events if json.dumps(text)[1:-1].encode() in event]
    assert len(found) == 1
    assert read_event(found[0]).type is Type.CHUNK
    assert read_event(found[0]).tokens != 99
    assert model_of(found[0]) == b'"tiny"'
    shown = for_client(found[0], Type.CHUNK, frozenset({Want.USAGE})) or b""
    chunk = json.loads(shown.removeprefix(b"data: "))
    assert text in chunk["choices"][0]["delta"]["content"]
    assert "timings" not in chunk


@pytest.mark.real
def test_tokens_of_a_real_answer_are_counted(ask: Ask) -> None:
    events = ask(max_tokens=20, ignore_eos=True, **ALL)
    counts = [read_event(event).tokens for event in events]
    assert counts[-2] == max(counts) == 20


@pytest.mark.parametrize(
    ("processed", "done"), [(0, False), (255, False), (256, True), (300, True)]
)
def test_last_progress_of_a_prompt_is_known(processed: int, done: bool) -> None:
    progress = f'"prompt_progress":{{"total":256,"cache":3,"processed":{processed},"time_ms":1}}'
    assert prompt_is_done(f"data: {{{progress}}}".encode()) is done


def test_progress_that_tells_no_total_is_not_the_last() -> None:
    assert not prompt_is_done(b'data: {"prompt_progress":{"processed":9}}')
