"""llama.cpp's own endpoints through the whole stack: what they say is what a server says itself."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from api.native.splice import InfillSplice, NativeSplice
from dispatcher.continuation import Continuation
from dispatcher.frames import Kind, unpack
from dispatcher.job import Claim, Job, Want
from dispatcher.outgoing import Outgoing
from testing.ends import Speaker
from testing.nearly import nearly, without_fractions
from tests.end_to_end.conftest import Fleet
from worker_bridge.event_answer import EventAnswer

pytestmark = pytest.mark.real

LAST = b'"stop":true'
GREEDY: dict[str, Any] = {"temperature": 0, "n_predict": 24}
PROMPT = "Once upon a time"
# As autoload/llama.vim of llama.vim and src/llama-server.ts of llama.vscode ask: without a model.
LLAMA_VIM: dict[str, Any] = {
    "id_slot": 0,
    "input_prefix": "def add(a, b):\n",
    "input_suffix": "\n\nprint(add(1, 2))\n",
    "input_extra": [{"text": "import sys\n", "time": [-1, 2], "filename": "main.py"}],
    "prompt": "    ret",
    "n_predict": 24,
    "stop": [],
    "n_indent": 4,
    "top_k": 40,
    "top_p": 0.90,
    "samplers": ["top_k", "top_p", "infill"],
    "stream": False,
    "cache_prompt": True,
    "t_max_prompt_ms": 500,
    "t_max_predict_ms": 60_000,
    "response_fields": [
        "content",
        *("timings/prompt_n", "timings/prompt_ms", "timings/prompt_per_token_ms"),
        *("timings/prompt_per_second", "timings/predicted_n", "timings/predicted_ms"),
        *("timings/predicted_per_token_ms", "timings/predicted_per_second"),
        *("truncated", "tokens_cached"),
    ],
}
LLAMA_VSCODE: dict[str, Any] = {
    "input_prefix": "def add(a, b):\n",
    "input_suffix": "\n",
    "input_extra": [{"text": "x = 1", "time": 5, "filename": "x.py"}],
    "prompt": "  r",
    "n_predict": 16,
    "top_k": 40,
    "top_p": 0.99,
    "stream": False,
    "samplers": ["top_k", "top_p", "infill"],
    "cache_prompt": True,
    "n_indent": 2,
    "t_max_prompt_ms": 500,
    "t_max_predict_ms": 60_000,
}
# What differs between any two requests.
CHANCE = ("id_slot", "tokens_cached")


class Both:
    """A server, and llamaq before it."""

    def __init__(self, direct: httpx.Client, relayed: httpx.Client) -> None:
        self.direct, self.relayed = direct, relayed

    def ask(self, path: str, body: Any) -> tuple[httpx.Response, httpx.Response]:
        return self.direct.post(path, json=body), self.relayed.post(path, json=body)

    def equal(self, path: str, **body: Any) -> Any:
        """What both say, but for what is by chance."""
        direct, relayed = self.ask(path, body)
        assert relayed.status_code == direct.status_code, relayed.text
        said = [plain(answer.json()) for answer in (direct, relayed)]
        assert said[1] == nearly(said[0])
        orders = [json.dumps(without_fractions(each)) for each in said]
        assert orders[1] == orders[0], "another order"
        return said[1]

    def equal_streams(self, path: str, **body: Any) -> list[Any]:
        """The events of both, but for what is by chance."""
        direct, relayed = self.ask(path, {**body, "stream": True})
        assert relayed.headers["content-type"] == "text/event-stream"
        said = [[plain(event) for event in events(answer.content)] for answer in (direct, relayed)]
        for event in said[0] if not body.get("timings_per_token") else ():
            if event.get("stop") is False:  # the server tells them where a stop string is found
                event.pop("timings", None)
        by_answer = [sorted(each, key=lambda event: event.get("index", 0)) for each in said]
        assert by_answer[1] == nearly(by_answer[0])
        return said[1]


def plain(answer: Any) -> Any:
    if isinstance(answer, list):
        return [plain(one) for one in answer]
    return {
        name: sorted(value) if name in ("timings", "prompt_progress") else value
        for name, value in answer.items()
        if name not in CHANCE and not name.startswith("timings/")
    }


def events(stream: bytes) -> list[Any]:
    told = [event.removeprefix(b"data: ") for event in stream.split(b"\n\n")]
    return [json.loads(data) for data in told if data not in (b"", b"null")]


@pytest.fixture(scope="module")
def both(fleet: Fleet) -> Iterator[Both]:
    url = fleet.servers[0].url
    close = {"Connection": "close"}
    with (
        httpx.Client(base_url=url, headers=close, timeout=60, trust_env=False) as direct,
        fleet.http() as relayed,
    ):
        yield Both(direct, relayed)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"return_tokens": True, "timings_per_token": True},
        {"n_probs": 2},
        {"logprobs": 1, "post_sampling_probs": True, "max_tokens": 3},
        {"stop": ["u p"], "n_probs": 1, "return_tokens": True},
        {"stop": [" "], "n_probs": 1},
        {"prompt": [79, 110, 99, 101]},
        {"prompt": [79, "nce"]},
        {"prompt": {"prompt_string": "Once"}},
        {"prompt": ["Once"]},
        {"prompt": ""},
        {"prompt": ["Once", [84, 119], [84, "wo"]], "n_predict": 5},
        {"prompt": ["Once", "Two"], "n": 2, "n_predict": 5, "response_fields": ["index", "prompt"]},
        {"json_schema": {"enum": ["grün 日本 🎉"]}, "n_predict": 60},
        {"n_predict": 0},
        {"response_fields": ["content", "generation_settings/seed", "nothing"], "seed": 7},
        {"repeat_penalty": 1.3, "dry_multiplier": 0.8, "n_keep": 3, "ignore_eos": True},
    ],
    ids=lambda fields: ",".join(fields) or "plain",
)
def test_whole_completion_is_the_servers_own(both: Both, fields: dict[str, Any]) -> None:
    both.equal("/completion", **{"prompt": PROMPT, **GREEDY, **fields})


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"timings_per_token": True, "return_progress": True},
        {"n_probs": 2, "stop": ["u p"]},
        {"prompt": ["Once", [84, 119], [84, "wo"]], "n_predict": 5},
        {"response_fields": ["content", "generation_settings/stream"]},
    ],
    ids=lambda fields: ",".join(fields) or "plain",
)
def test_streamed_completion_is_the_servers_own(both: Both, fields: dict[str, Any]) -> None:
    if fields.get("return_progress"):
        both.direct.post("/completion", json={"prompt": PROMPT})  # both have it in the cache
    both.equal_streams("/completions", **{"prompt": PROMPT, **GREEDY, **fields})


@pytest.mark.parametrize("editor", [LLAMA_VIM, LLAMA_VSCODE], ids=["llama.vim", "llama.vscode"])
def test_editor_gets_what_the_server_would_say(both: Both, editor: dict[str, Any]) -> None:
    said = both.equal("/infill", **editor, seed=7)
    assert said["content"]
    told = both.relayed.post("/infill", json=editor).json()
    assert list(told) == editor.get("response_fields", list(told))


def test_editor_warms_the_cache_and_may_stream(both: Both) -> None:
    """As llama.vscode prepares for the next request."""
    warm = {"input_extra": LLAMA_VIM["input_extra"], "n_predict": 0, "samplers": [], "seed": 7}
    both.equal("/infill", input_prefix="", input_suffix="", prompt="", **warm)
    both.equal_streams("/infill", **{**LLAMA_VIM, "seed": 7, "response_fields": []})


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/completion", {}),
        ("/completion", {"prompt": []}),
        ("/completion", {"prompt": 5}),
        ("/completion", {"prompt": [-1]}),
        ("/completion", {"prompt": [999_999]}),
        ("/completion", {"prompt": "a", "n_predict": "b"}),
        ("/completion", {"prompt": "a" * 5000}),
        ("/completion", {"prompt": "a" * 5000, "stream": True}),
        ("/infill", {"input_prefix": "a"}),
        ("/infill", {"input_prefix": 5, "input_suffix": ""}),
        ("/infill", {"input_prefix": "", "input_suffix": "", "input_extra": [{"filename": "a"}]}),
    ],
    ids=lambda value: value if isinstance(value, str) else str(value)[:40],
)
def test_what_the_server_refuses_is_refused(both: Both, path: str, body: Any) -> None:
    direct, relayed = both.ask(path, body)
    assert (direct.status_code, relayed.status_code) == (400, 400)
    assert relayed.json()["error"]["message"]


CUTS = 12
WANTS = frozenset({Want.STREAM})


def frames(server: httpx.Client, path: str, body: bytes) -> list[tuple[Kind, bytes, int]]:
    """What a bridge says of an answer, event by event."""
    outgoing = Outgoing(Claim("j", "j:1", "a", WANTS, 9, 1), Speaker(), lambda *_: None)
    answer = EventAnswer(WANTS, outgoing, "tiny", "tiny", LAST)
    answer.begin(200)
    said = server.post(path, content=body)
    assert said.status_code == 200, said.text
    found = []
    for event in said.content.split(b"\n\n"):
        answer.take(event + b"\n\n")
        found += [(one.kind, one.payload, one.tokens) for one in unpack(outgoing.pack().frames)]
    return found


def play(splice: NativeSplice, frames: list[tuple[Kind, bytes, int]]) -> bytes:
    shown = []
    for kind, payload, tokens in frames:
        if kind is Kind.PROMPT:
            splice.note_prompt(payload)
        else:
            shown.append(splice.show(payload, tokens))
    return b"".join(shown)


def told(shown: bytes) -> dict[str, Any]:
    """All that a stream says; it must look like one answer."""
    *parts, last = events(shown)
    timings = last.pop("timings")
    assert timings["predicted_n"] == last["tokens_predicted"]
    assert timings["prompt_n"] + timings["cache_n"] == last["tokens_evaluated"]
    assert {part["tokens_evaluated"] for part in parts} == {last["tokens_evaluated"]}
    lists = {
        name: [one for part in parts for one in part.get(name, ())]
        for name in ("tokens", "completion_probabilities")
    }
    ids = [one["id"] for one in lists.pop("completion_probabilities")]
    content = "".join(part["content"] for part in parts)
    return {**plain(last), **lists, "ids": ids, "content": content}


def upstream(**fields: Any) -> bytes:
    asked = {"model": "tiny", **GREEDY, "stream": True, "timings_per_token": True}
    return json.dumps({**asked, "return_progress": True, **fields}).encode()


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"max_tokens": 40, "n_predict": 30},
        {"n_predict": -1},
        {"prompt": [79, 110, 99, 101]},
        {"prompt": [79, "nce"], "repeat_penalty": 1.3},
        {"n_predict": 60, "stop": ["pu mu", "u fX"], "n_probs": 1},
    ],
    ids=lambda fields: ",".join(fields) or "plain",
)
def test_completion_goes_on_wherever_it_broke_off(both: Both, fields: dict[str, Any]) -> None:
    body = upstream(**{"prompt": "Once", **fields})
    job = Job("j", "tiny", "ann", body, WANTS, 9, 9)
    whole = frames(both.direct, "/completion", body)
    expected = told(play(NativeSplice(job), whole))
    ends = len(whole) - 1  # behind all tokens, where there is a limit, nothing is left to ask
    for cut in range(2, ends, max(1, ends // CUTS)):
        splice = NativeSplice(job)
        shown = play(splice, whole[:cut])
        rest = splice.lose()
        assert isinstance(rest, Continuation)
        shown += play(splice, frames(both.direct, "/completion", rest.body))
        assert told(shown) == expected, f"cut behind event {cut}"


def test_nothing_is_asked_for_behind_the_last_token(both: Both) -> None:
    body = upstream(prompt="Once")
    whole = frames(both.direct, "/completion", body)
    splice = NativeSplice(Job("j", "tiny", "ann", body, WANTS, 9, 9))
    play(splice, whole[:-1])
    assert splice.lose() is None
    last = events(splice.end())[0]
    expected = events(whole[-1][1])[0]
    assert {**expected, **last, "id_slot": expected["id_slot"]} == expected
    assert last["stop_type"] == "limit"


def test_gap_that_was_begun_is_not_filled_elsewhere(both: Both) -> None:
    body = upstream(input_prefix="a", input_suffix="b", prompt="")
    job = Job("j", "tiny", "ann", body, WANTS, 9, 9)
    whole = frames(both.direct, "/infill", body)
    splice = InfillSplice(job)
    play(splice, whole[:1])
    rest = splice.lose()
    assert rest is not None
    assert rest.body == body
    play(splice, whole[1:3])
    with pytest.raises(Exception, match="within a gap"):
        splice.lose()
