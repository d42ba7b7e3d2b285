"""Wherever a stream of a real server breaks off, another one goes on as the first would have."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.chat.splice import Splice
from api.endpoint import Piece
from api.messages.shape import MessageShape
from dispatcher.job import Job, Want
from llamaq.demo_model import write_demo_model
from testing.processes import LlamaServer, free_port
from worker_bridge.events import Type, for_client, read_event

pytestmark = pytest.mark.real

SEAMS = 16
ASKED = {"role": "user", "content": "Tell me something."}
WANTS = frozenset({Want.STREAM, Want.USAGE})
CITY = {"type": "string", "enum": ["Zürich日本Ж😀"]}
PLACE = {
    "type": "object",
    "properties": {"city": CITY, "n": {"type": "integer"}},
    "required": ["city", "n"],
}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "p", "schema": PLACE}}
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": PLACE}}
CALL = {"id": "x", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
CALLED = [
    ASKED,
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "x", "content": "sun"},
]
# A thinking model's; what was generated is rendered again as it was.
THINKING = """\
{%- for message in messages %}{{- '<|im_start|>' + message.role + '\\n' }}
{%- if message.role == 'assistant' %}
{{- '<think>\\n' + (message.reasoning_content or '') + '</think>' + (message.content or '') }}
{%- else %}{{- message.content }}{%- endif %}{{- '<|im_end|>\\n' }}{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n<think>\\n' }}{%- endif %}
"""


@pytest.fixture(scope="module")
def plain(
    tmp_path_factory: pytest.TempPathFactory, models: dict[str, Path]
) -> Iterator[httpx.Client]:
    server = LlamaServer(models["tiny"], free_port(), "tiny", 2)
    with server.running(tmp_path_factory.mktemp("plain") / "log"), client(server) as plain:
        yield plain


@pytest.fixture(scope="module")
def thinking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("thinking")
    write_demo_model(folder / "thinking.gguf", template=THINKING)
    server = LlamaServer(folder / "thinking.gguf", free_port(), "tiny", 2)
    with server.running(folder / "server.log"), client(server) as thinking:
        yield thinking


def client(server: LlamaServer) -> httpx.Client:
    headers = {"Connection": "close"}
    return httpx.Client(base_url=server.url, headers=headers, timeout=60, trust_env=False)


def frames(server: httpx.Client, body: bytes) -> list[tuple[bytes, int]]:
    """The events of an answer as a bridge passes them on, each with the tokens so far."""
    answer = server.post("/v1/chat/completions", content=body)
    assert answer.status_code == 200, answer.text
    found, tokens = [], 0
    for event in answer.content.split(b"\n\n"):
        seen = read_event(event)
        tokens = max(tokens, seen.tokens)
        if event and seen.type is Type.PROGRESS and not found:
            found.append((event, -1))
        shown = for_client(event, seen.type, WANTS)
        if seen.type is Type.USAGE:  # in one frame with the last chunk
            found[-1] = found[-1][0] + event + b"\n\n", tokens
        elif event and shown is not None and seen.type is not Type.DONE:
            found.append((shown + b"\n\n", tokens))
    return found


def play(splice: Splice, frames: list[tuple[bytes, int]]) -> bytes:
    shown = []
    for payload, tokens in frames:
        if tokens < 0:
            splice.note_prompt(payload)
        else:
            shown.append(splice.show(payload, tokens))
    return b"".join(shown)


def told(shown: bytes) -> dict[str, Any]:
    """All that a stream says; what must be said once, or be the same all over, is checked.

    Not when its chunks were `created`: the server tells the second of each one.
    """
    chunks = [json.loads(event[6:]) for event in shown.split(b"\n\n") if event]
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    deltas = [choice["delta"] for choice in choices]
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert sum("role" in delta for delta in deltas) == 1
    (finish,) = [choice["finish_reason"] for choice in choices if choice["finish_reason"]]
    (usage,) = [chunk["usage"] for chunk in chunks if "usage" in chunk]
    logprobs = [
        (one["token"], round(one["logprob"], 3))
        for choice in choices
        for one in (choice.get("logprobs") or {}).get("content", ())
    ]
    return {
        "content": "".join(delta.get("content") or "" for delta in deltas),
        "reasoning": "".join(delta.get("reasoning_content") or "" for delta in deltas),
        "finish": finish,
        "tokens": (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]),
        "logprobs": logprobs,
    }


def message(shown: bytes) -> list[list[Any]]:
    """The same stream as the events of one message; deltas that lie side by side are one.

    What `told` compares is not told again: names, and tokens.
    """
    shape, found = MessageShape("id"), [[""]]
    for event in (shape.take(Piece(0, shown)) + shape.end()).split(b"\n\n")[:-1]:
        said = json.loads(event.partition(b"\ndata: ")[2])
        said |= {"message": "", "usage": ""}
        kind, text = said.get("delta", {}).values() or ("", "")
        if said["type"] == "content_block_delta" and found[-1][:2] == [said["index"], kind]:
            found[-1][2] += text
        else:
            found.append([said["index"], kind, text] if "index" in said and kind else [said])
    return found


def check_seams(server: httpx.Client, least: int, **fields: Any) -> dict[str, Any]:
    """Breaks a stream off behind many of its events; what it says as a whole is always the same."""
    body = {"model": "tiny", "messages": [ASKED], "temperature": 0, "stream": True}
    body |= {"stream_options": {"include_usage": True}, "timings_per_token": True}
    text = json.dumps(body | {"return_progress": True} | fields).encode()
    job = Job("j", "tiny", "ann", text, WANTS, 9, 9)
    whole = frames(server, text)
    unbroken = play(Splice(job), whole)
    expected, as_message = told(unbroken), message(unbroken)
    for cut in range(1, len(whole), max(1, len(whole) // SEAMS)):
        splice = Splice(job)
        shown = play(splice, whole[:cut])
        rest = splice.lose()
        shown += play(splice, frames(server, rest.body)) if rest else splice.end()
        assert told(shown) == expected, f"cut behind event {cut}"
        assert message(shown) == as_message, f"cut behind event {cut}"
    assert len(whole) > least
    return expected


@pytest.mark.parametrize(
    "fields",
    [
        {"max_tokens": 40},
        {"n_predict": 40, "max_tokens": 3},
        {"max_tokens": 200},
        {"max_tokens": 20, "logprobs": True, "top_logprobs": 2},
        {"max_tokens": 40, "repeat_penalty": 1.3, "presence_penalty": 0.7, "dry_multiplier": 0.8},
        {"max_tokens": 20, "messages": [ASKED, {"role": "assistant", "content": "Once"}]},
        {"max_tokens": 20, "messages": CALLED, "tools": [WEATHER]},
    ],
    ids=["limit", "limits", "end", "logprobs", "penalties", "prefilled", "tools"],
)
def test_text_goes_on(plain: httpx.Client, fields: dict[str, Any]) -> None:
    check_seams(plain, 10, **fields)


@pytest.mark.parametrize("stop", [["a fa lo"], ["ka pi", "a fa lX", "o ga pi vX"], [" "]])
def test_stop_string_over_the_seam_ends_the_text(plain: httpx.Client, stop: list[str]) -> None:
    told = check_seams(plain, 5, max_tokens=60, stop=stop)
    assert (told["finish"], stop[0] in told["content"]) == ("stop", False)


def test_json_schema_holds_and_characters_of_many_bytes_stay_whole(plain: httpx.Client) -> None:
    told = check_seams(plain, 20, max_tokens=100, response_format=SCHEMA)
    assert json.loads(told["content"])["city"] == CITY["enum"][0]


@pytest.mark.parametrize("more", [{}, {"response_format": SCHEMA}], ids=["text", "schema"])
def test_reasoning_goes_on_and_ends(thinking: httpx.Client, more: dict[str, Any]) -> None:
    told = check_seams(thinking, 20, max_tokens=60, thinking_budget_tokens=12, **more)
    assert told["reasoning"]
    assert told["content"]
