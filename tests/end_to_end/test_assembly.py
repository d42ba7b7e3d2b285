"""What we assemble of a stream equals what a real llama-server answers without streaming."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.chat.completion import Completion, merge
from api.chat.request import parse_chat
from llamaq.demo_model import write_demo_model
from tests.builders import make_chat, make_settings
from worker_bridge.events import Type, for_client, read_event

pytestmark = pytest.mark.real

SETTINGS = make_settings()
COLOURS = {"type": "string", "enum": ["red", "grün", "日本"]}
PAINT = {
    "type": "function",
    "function": {
        "name": "paint",
        "parameters": {
            "type": "object",
            "properties": {"colour": COLOURS},
            "required": ["colour"],
        },
    },
}
SCHEMA = {"type": "object", "properties": {"colour": COLOURS}, "required": ["colour"]}
ASKED = {"role": "user", "content": "Say something."}


# Opens a thought in the prompt, as the templates of reasoning models do; llama-server recognises
# one by what it does with earlier thoughts and with `enable_thinking: false`.
THINKING_TEMPLATE = """\
{%- for message in messages %}
{{- '<|im_start|>' + message.role + '\\n' }}
{%- if message.reasoning_content %}
{{- '<think>\\n' + message.reasoning_content + '\\n</think>\\n\\n' }}
{%- endif %}
{{- (message.content or '') + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|im_start|>assistant\\n<think>\\n' }}
{%- if enable_thinking is false %}{{- '\\n</think>\\n\\n' }}{%- endif %}
{%- endif %}
"""


@pytest.fixture(scope="module")
def llama_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    model = tmp_path_factory.mktemp("models") / "tiny.gguf"
    write_demo_model(model)
    with running(model) as client:
        yield client


@pytest.fixture(scope="module")
def thinking_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    model = tmp_path_factory.mktemp("models") / "thinking.gguf"
    write_demo_model(model, template=THINKING_TEMPLATE)
    with running(model) as client:
        yield client


@contextmanager
def running(model: Path) -> Iterator[httpx.Client]:
    port = free_port()
    command = [sys.executable, "-m", "llamaq.demo_server", "-m", str(model), "--parallel", "4"]
    with subprocess.Popen([*command, "--port", str(port)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        # It says so once the model is loaded.
        assert process.stdout.readline()
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            yield client
        process.kill()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def ask(server: httpx.Client, body: bytes) -> httpx.Response:
    # llama-server may close a connection that it has just offered to keep.
    headers = {"Content-Type": "application/json", "Connection": "close"}
    answer = server.post("/v1/chat/completions", content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer


def servers_own(server: httpx.Client, **fields: Any) -> dict[str, Any]:
    answer: dict[str, Any] = ask(server, make_chat(**fields)).json()
    return answer


def assembled(server: httpx.Client, **fields: Any) -> dict[str, Any]:
    request = parse_chat(make_chat(**fields), SETTINGS)
    completions = [Completion(request.prefill) for _ in range(request.choices)]
    for i, completion in enumerate(completions):
        completion.add(passed_on(ask(server, request.upstream_body(i)).content))
    return merge(completions)


def passed_on(stream: bytes) -> bytes:
    """Its chunks as a bridge passes them on: without the timings of each token."""
    chunks = stream.split(b"\n\n")
    usage = next(chunk for chunk in chunks if read_event(chunk).type is Type.USAGE)
    kept = (for_client(chunk, Type.CHUNK, frozenset()) for chunk in chunks if chunk != usage)
    return b"\n\n".join([*filter(None, kept), usage, b""])


def comparable(answer: dict[str, Any]) -> str:
    """The answer as JSON, in its order, without what differs between any two requests.

    These are the ids (of the answer and of tool calls), the time, the durations, and how much of
    the prompt was in the cache.
    """
    answer = answer | {"id": "", "created": 0, "timings": sorted(answer["timings"])}
    answer["usage"]["prompt_tokens_details"] = sorted(answer["usage"]["prompt_tokens_details"])
    for choice in answer["choices"]:
        for call in choice["message"].get("tool_calls", []):
            call["id"] = len(call["id"])
    return json.dumps(answer, ensure_ascii=False)


CASES: dict[str, dict[str, Any]] = {
    "text": {},
    "logprobs": {"logprobs": True, "top_logprobs": 3},
    "probabilities": {"logprobs": True, "top_logprobs": 2, "post_sampling_probs": True},
    "tool calls": {"tools": [PAINT], "tool_choice": "required", "max_tokens": 400},
    "one tool call": {
        "tools": [PAINT],
        "tool_choice": "required",
        "parallel_tool_calls": False,
        "max_tokens": 400,
    },
    "tool call cut by the limit": {"tools": [PAINT], "tool_choice": "required", "max_tokens": 36},
    "tools unused": {"tools": [PAINT], "tool_choice": "none"},
    "schema": {"response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}}},
    "text beyond ASCII": {"grammar": 'root ::= "grün 日本 🎉"', "max_tokens": 60},
    "stop string": {"stop": ["a ", "never"]},
    "stop string at once": {"grammar": 'root ::= "ab"', "stop": ["a"]},
    "one token": {"max_tokens": 1},
    "sampled": {"temperature": 1.5, "seed": 7},
    "assistant's words continued": {
        "messages": [ASKED, {"role": "assistant", "content": "Well, "}]
    },
    "assistant's parts continued": {
        "messages": [
            ASKED,
            {"role": "assistant", "content": [{"type": "text", "text": t} for t in ("a", "b")]},
        ]
    },
    "nothing continued": {"messages": [ASKED, {"role": "assistant", "content": ""}]},
    "thought about": {
        "messages": [ASKED, {"role": "assistant", "content": "a", "reasoning_content": "b"}, ASKED]
    },
}


@pytest.mark.parametrize("case", CASES)
def test_assembled_answer_equals_the_servers_own(llama_server: httpx.Client, case: str) -> None:
    fields = {"temperature": 0, "seed": 1, "max_tokens": 40} | CASES[case]
    ours, theirs = assembled(llama_server, **fields), servers_own(llama_server, **fields)
    assert comparable(ours) == comparable(theirs)


@pytest.mark.parametrize(
    "fields",
    [
        {"grammar": 'root ::= "so so</think>\\n\\nla"'},
        {"grammar": 'root ::= "so so</think>\\n\\nla"', "reasoning_format": "none"},
        {"max_tokens": 5},
    ],
)
def test_reasoning_equals_the_servers_own(
    thinking_server: httpx.Client, fields: dict[str, Any]
) -> None:
    fields = {"temperature": 0, "max_tokens": 60} | fields
    ours, theirs = assembled(thinking_server, **fields), servers_own(thinking_server, **fields)
    assert comparable(ours) == comparable(theirs)
    if "reasoning_format" not in fields:
        assert theirs["choices"][0]["message"]["reasoning_content"]


def test_cases_cover_every_shape(llama_server: httpx.Client) -> None:
    def message(case: str) -> dict[str, Any]:
        fields = {"temperature": 0, "max_tokens": 40} | CASES[case]
        choice: dict[str, Any] = servers_own(llama_server, **fields)["choices"][0]
        return choice["message"] | {"finish": choice["finish_reason"]}

    assert message("tool calls")["tool_calls"][0]["function"]["name"] == "paint"
    assert message("one tool call")["finish"] == "tool_calls"
    assert message("text")["finish"] == "length"
    assert message("stop string")["finish"] == "stop"
    assert message("stop string at once")["content"] == ""
    assert json.loads(message("schema")["content"])["colour"] in COLOURS["enum"]


def test_choices_equal_the_servers_own_except_its_usage(llama_server: httpx.Client) -> None:
    fields = {"n": 3, "temperature": 1.5, "seed": 7, "max_tokens": 12}
    ours, theirs = assembled(llama_server, **fields), servers_own(llama_server, **fields)
    assert ours["choices"] == theirs["choices"]
    # llama-server counts only the tokens of its first choice.
    assert ours["usage"]["prompt_tokens"] == theirs["usage"]["prompt_tokens"]
    assert ours["usage"]["completion_tokens"] > 2 * theirs["usage"]["completion_tokens"]


def test_with_logprobs_and_a_stop_string_a_stream_joins_tokens_held_back(
    llama_server: httpx.Client,
) -> None:
    """The one known difference: tokens that might begin a stop string come as one in a stream."""
    fields = {
        "grammar": 'root ::= "abcd"',
        "logprobs": True,
        "top_logprobs": 1,
        "stop": ["bx"],
        "temperature": 0,
    }
    ours, theirs = assembled(llama_server, **fields), servers_own(llama_server, **fields)
    assert ours["choices"][0]["message"] == theirs["choices"][0]["message"]
    assert [t["token"] for t in ours["choices"][0]["logprobs"]["content"]] == ["a", "bc", "d"]
