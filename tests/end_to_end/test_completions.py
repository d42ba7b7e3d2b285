"""Text completions on a real fleet: what the server says itself, also over a loss."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import openai
import pytest

from api.completions.completion import Completion
from api.completions.request import parse_completion
from api.completions.splice import Splice
from api.prompts import MAX_PARTS, MAX_TEXTS
from dispatcher.frames import Frame, Kind, unpack
from dispatcher.job import Claim, Job, Want
from dispatcher.outgoing import Outgoing
from testing.builders import make_settings
from testing.ends import Speaker
from testing.nearly import nearly
from tests.end_to_end.conftest import Fleet
from worker_bridge.chunk_answer import ChunkAnswer

pytestmark = pytest.mark.real

PATH = "/v1/completions"
GREEDY: dict[str, Any] = {"model": "tiny", "temperature": 0, "max_tokens": 20}
SEAMS = 8
WANTS = frozenset({Want.STREAM, Want.USAGE})
MIXED = [[1, 100, 80], "Once", ["a", 80, "b"], {"prompt_string": "Zürich"}, []]


Ask = Callable[..., httpx.Response]


@pytest.fixture(scope="module")
def server(fleet: Fleet) -> Iterator[httpx.Client]:
    """The first real server itself."""
    headers, url = {"Connection": "close"}, fleet.servers[0].url
    with httpx.Client(base_url=url, headers=headers, timeout=60, trust_env=False) as client:
        yield client


@pytest.fixture(scope="module")
def ask_server(server: httpx.Client) -> Ask:
    """Asks that server."""
    return lambda **fields: server.post(PATH, json={**GREEDY, **fields})


@pytest.fixture(scope="module")
def ask(fleet: Fleet) -> Iterator[Ask]:
    """Asks the API."""
    with fleet.http() as client:
        yield lambda **fields: client.post(PATH, json={**GREEDY, **fields})


def comparable(answer: dict[str, Any]) -> dict[str, Any]:
    """Without what differs from call to call: names, times, and what was cached."""
    kept = {**answer, "id": "", "created": 0, "timings": sorted(answer["timings"])}
    return {**kept, "usage": {**kept["usage"], "prompt_tokens_details": ["cached_tokens"]}}


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": "Once"},
        {"prompt": ["Once"], "echo": False, "best_of": 1, "suffix": ""},
        {"prompt": [1, 100, 80]},
        {"prompt": ["a", 80, "b"]},
        {"prompt": ""},
        {"prompt": "Once", "logprobs": 2},
        {"prompt": "Once", "logprobs": True, "post_sampling_probs": True},
        {"prompt": "Once", "stop": ["a"]},
        {"prompt": "Once", "json_schema": {"type": "string", "enum": ["Zürich日本"]}},
        {"prompt": "Once", "max_tokens": 0},
        {"prompt": "Once", "temperature": 1.5, "seed": 7},
    ],
    ids=str,
)
def test_answer_equals_what_the_server_answers_by_itself(
    ask: Ask, ask_server: Ask, fields: dict[str, Any]
) -> None:
    ours, theirs = ask(**fields), ask_server(**fields)
    assert (ours.status_code, theirs.status_code) == (200, 200), ours.text
    assert comparable(ours.json()) == nearly(comparable(theirs.json()))


@pytest.mark.parametrize("n", [1, 2])
def test_prompts_and_choices_are_numbered_as_the_server_does(
    ask: Ask, ask_server: Ask, n: int
) -> None:
    fields = {"prompt": MIXED[:4], "n": n, "seed": 5, "temperature": 1}
    ours, theirs = ask(**fields), ask_server(**fields)
    assert (ours.status_code, theirs.status_code) == (200, 200), ours.text
    assert ours.json()["choices"] == theirs.json()["choices"]
    # llama-server tells the tokens of its first choice alone.
    alone = [
        ask(**{**fields, "n": 1, "prompt": prompt, "seed": 5 + choice}).json()["usage"]
        for prompt in MIXED[:4]
        for choice in range(n)
    ]
    usage = ours.json()["usage"]
    assert usage["prompt_tokens"] == sum(each["prompt_tokens"] for each in alone) // n
    assert usage["completion_tokens"] == sum(each["completion_tokens"] for each in alone)
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


@pytest.mark.parametrize(
    "prompt",
    [
        None,
        5,
        [],
        [1.5],
        [True],
        [-1, 80],
        [100_000],
        ["a", None],
        [["a", "b"]],
        [[1], 2],
        {"a": 1},
    ],
    ids=str,
)
def test_prompt_that_the_server_refuses_is_refused(ask: Ask, ask_server: Ask, prompt: Any) -> None:
    ours, theirs = ask(prompt=prompt), ask_server(prompt=prompt)
    assert (ours.status_code, theirs.status_code) == (400, 400)
    assert ours.json()["error"]["type"] == theirs.json()["error"]["type"]


def test_official_client_reads_answer_and_stream(fleet: Fleet) -> None:
    completions = fleet.openai().completions
    whole = completions.create(prompt=["Once", "Twice"], n=2, **GREEDY)
    assert [choice.index for choice in whole.choices] == [0, 1, 2, 3]
    assert (whole.object, whole.model) == ("text_completion", "tiny")
    texts, finish, ids, usages = ["", "", "", ""], {}, set(), []
    for chunk in completions.create(prompt=["Once", "Twice"], n=2, **GREEDY, stream=True):
        ids.add(chunk.id)
        usages += [chunk.usage] if chunk.usage else []
        for choice in chunk.choices:
            texts[choice.index] += choice.text
            finish[choice.index] = choice.finish_reason or finish.get(choice.index)
    assert texts == [choice.text for choice in whole.choices]
    assert finish == {choice.index: choice.finish_reason for choice in whole.choices}
    assert (len(ids), len(usages)) == (1, 4)  # each choice tells its own, as from llama-server
    assert whole.usage
    assert whole.usage.completion_tokens == sum(each.completion_tokens for each in usages)


def test_stream_looks_as_that_of_the_server(ask: Ask, ask_server: Ask) -> None:
    def look(events: str) -> list[Any]:
        """Its events, without what differs between any two requests."""
        changing = {"id": "", "created": 0, "timings": 0, "prompt_progress": 0}
        found = []
        for event in events.removesuffix("\n\n").split("\n\n"):
            chunk = {} if event == "data: [DONE]" else json.loads(event.removeprefix("data: "))
            found.append({**chunk, **{name: v for name, v in changing.items() if name in chunk}})
            found[-1].get("usage", {}).pop("prompt_tokens_details", None)
        return found

    for more in ({}, {"return_progress": True, "timings_per_token": True}, {"logprobs": 1}):
        fields = {"prompt": "Look here", "stream": True, "stream_options": {"include_usage": True}}
        ours, theirs = ask(**fields, **more), ask_server(**fields, **more)
        assert look(ours.text) == look(theirs.text)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"echo": True}, "echo"),
        ({"suffix": "end"}, "suffix"),
        ({"best_of": 3, "n": 2}, "best_of"),
        ({"logprobs": 21}, "logprobs"),
        ({"n": 3, "prompt": ["a", "b", "c"]}, "prompt"),
        ({"repeat_last_n": 2049}, "repeat_last_n"),
        ({"prompt": "x" * 3000}, None),
    ],
)
def test_refusal_names_the_field(fleet: Fleet, fields: dict[str, Any], param: str | None) -> None:
    extra = {name: fields[name] for name in fields if name == "repeat_last_n"}
    known = {name: fields[name] for name in fields if name not in extra}
    with pytest.raises(openai.BadRequestError) as refused:
        fleet.openai().completions.create(**{"prompt": "Once", **GREEDY, **known}, extra_body=extra)
    assert refused.value.param == param
    assert (refused.value.code == "context_length_exceeded") is (param is None)


def test_longest_lists_are_refused_for_the_context_alone(ask: Ask) -> None:
    for prompt in ([1, *["a"] * MAX_TEXTS], [80] * MAX_PARTS):
        assert ask(prompt=prompt).json()["error"]["code"] == "context_length_exceeded"


def frames(server: httpx.Client, body: bytes, events_each: int) -> list[Frame]:
    """An answer as a bridge passes it on that reads so many events at once."""
    answer = server.post(PATH, content=body)
    assert answer.status_code == 200, answer.text
    events = [event + b"\n\n" for event in answer.content.split(b"\n\n") if event]
    claim = Claim("j", "j:1", "a", WANTS, 9, 1)
    outgoing, found = Outgoing(claim, Speaker(), lambda *_: None), list[Frame]()
    passed_on = ChunkAnswer(WANTS, outgoing, "tiny", "tiny")
    passed_on.begin(200)
    for at in range(0, len(events), events_each):
        passed_on.take(b"".join(events[at : at + events_each]))
        found += unpack(outgoing.pack().frames)
    return found


def play(splice: Splice, frames: list[Frame]) -> bytes:
    shown = []
    for frame in frames:
        if frame.kind is Kind.PROMPT:
            splice.note_prompt(frame.payload)
        else:
            shown.append(splice.show(frame.payload, frame.tokens))
    return b"".join(shown)


def told(shown: bytes) -> dict[str, Any]:
    """All that a stream says, without durations and what was cached."""
    completion = Completion()
    completion.add(shown)
    choice, last = completion.choice(), completion.last_chunk
    chunks = [json.loads(event[6:]) for event in shown.split(b"\n\n") if event]
    assert len({chunk["id"] for chunk in chunks}) == 1
    for one in (choice["logprobs"] or {}).get("content", ()):
        one["logprob"], one["top_logprobs"] = round(one["logprob"], 3), ()
    usage = last["usage"]
    counts = usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]
    return {**choice, "tokens": counts, "object": last["object"]}


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": "Tell me"},
        {"prompt": [1, 100, 80, 81]},
        {"prompt": [1, "Tell", 80]},
        {"prompt": ["Tell", 80, " me"]},
        {"prompt": "Tell me", "n_predict": 30, "max_tokens": 3},
        {"prompt": "Tell me", "max_tokens": 200},
        {"prompt": "Tell me", "logprobs": 2},
        {"prompt": "Tell me", "repeat_penalty": 1.3, "dry_multiplier": 0.8, "max_tokens": 40},
        {"prompt": "Tell me", "stop": [" l", "o ga pi vX"], "max_tokens": 40},
        {"prompt": "Tell me", "stop": [" X", "aX", "eX", "be mo"], "max_tokens": 20},
    ],
    ids=str,
)
@pytest.mark.parametrize("events_each", [1, 3])
def test_text_goes_on_wherever_it_breaks_off(
    server: httpx.Client, fields: dict[str, Any], events_each: int
) -> None:
    body = {**GREEDY, "stream": True, **fields}
    asked = parse_completion(json.dumps(body).encode(), make_settings())
    (text,) = asked.upstream_bodies()
    job = Job("j", "tiny", "ann", text, WANTS, 9, 9)
    whole = frames(server, text, events_each)
    expected = told(play(Splice(job), whole))
    for cut in range(1, len(whole), max(1, len(whole) // SEAMS)):
        splice = Splice(job)
        shown = play(splice, whole[:cut])
        rest = splice.lose()
        shown += play(splice, frames(server, rest.body, events_each)) if rest else splice.end()
        assert told(shown) == expected, f"cut behind event {cut}"
    assert len(whole) > 5
