"""What we assemble of a stream equals what a real llama-server answers without streaming."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.chat.completion import Completion, merge
from api.chat.completion import assembly as chat_assembly
from api.chat.request import parse_chat
from api.endpoint import Piece
from api.messages.answer import assembly as message_assembly
from api.messages.request import parse_message
from api.messages.shape import MessageShape
from api.responses.whole import ResponsesAssembly
from dispatcher.job import Want
from llamaq.demo_model import write_demo_model
from testing.builders import make_chat, make_settings
from testing.nearly import nearly, without_fractions
from testing.processes import free_port
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
_CALL = '<tool_call>\n{"name": "paint", "arguments": {"colour'
_NOT_NEW = {"add_generation_prompt": False, "max_tokens": 5}


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


def thought(reasoning: str, said: str) -> list[dict[str, str]]:
    """A conversation whose last message is one that the assistant has begun."""
    return [ASKED, {"role": "assistant", "content": said, "reasoning_content": reasoning}]


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


def ask(server: httpx.Client, body: bytes, path: str = "/v1/chat/completions") -> httpx.Response:
    # llama-server may close a connection that it has just offered to keep.
    headers = {"Content-Type": "application/json", "Connection": "close"}
    answer = server.post(path, content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer


def servers_own(server: httpx.Client, **fields: Any) -> dict[str, Any]:
    answer: dict[str, Any] = ask(server, make_chat(**fields)).json()
    return answer


def assembled(server: httpx.Client, **fields: Any) -> dict[str, Any]:
    request = parse_chat(make_chat(**fields), SETTINGS)
    completions = [Completion() for _ in range(request.choices)]
    for i, completion in enumerate(completions):
        completion.add(passed_on(ask(server, request.upstream_body(i)).content))
    return merge(completions)


def passed_on(stream: bytes, wants: frozenset[Want] = frozenset()) -> bytes:
    """Its chunks as a bridge passes them on: without the timings of each token."""
    chunks = [chunk for chunk in stream.split(b"\n\n") if read_event(chunk).type is not Type.DONE]
    usage = next(chunk for chunk in chunks if read_event(chunk).type is Type.USAGE)
    kept = (for_client(chunk, read_event(chunk).type, wants) for chunk in chunks if chunk != usage)
    return b"\n\n".join([*filter(None, kept), usage, b""])


def comparable(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer without what differs between any two requests.

    These are the ids (of the answer and of tool calls), the time, the durations, and how much of
    the prompt was in the cache.
    """
    answer = answer | {"id": "", "created": 0, "timings": sorted(answer["timings"])}
    answer["usage"]["prompt_tokens_details"] = sorted(answer["usage"]["prompt_tokens_details"])
    for choice in answer["choices"]:
        for call in choice["message"].get("tool_calls", []):
            call["id"] = len(call["id"])
    return answer


def check_equal(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Equal, but for noise in fractions; also in the order of their fields."""
    own, expected = comparable(ours), comparable(theirs)
    assert own == nearly(expected)
    assert json.dumps(without_fractions(own)) == json.dumps(without_fractions(expected))


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
    "assistant's call continued": {
        "messages": [ASKED, {"role": "assistant", "content": _CALL}],
        "tools": [PAINT],
        "max_tokens": 1,
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
    check_equal(ours, theirs)


@pytest.mark.parametrize(
    "fields",
    [
        {"grammar": 'root ::= "so so</think>\\n\\nla"'},
        {"grammar": 'root ::= "so so</think>\\n\\nla"', "reasoning_format": "none"},
        {"max_tokens": 5},
        {"messages": thought("so", ""), "max_tokens": 5},
        {"messages": thought("so", ""), "grammar": 'root ::= "so</think>\\n\\nla"'},
        {"messages": thought("so", ""), "continue_final_message": "reasoning_content", **_NOT_NEW},
        {"messages": thought("so", "la"), "max_tokens": 5},
        {"messages": thought("so", "la"), "continue_final_message": "content", **_NOT_NEW},
    ],
)
def test_reasoning_equals_the_servers_own(
    thinking_server: httpx.Client, fields: dict[str, Any]
) -> None:
    fields = {"temperature": 0, "max_tokens": 60} | fields
    ours, theirs = assembled(thinking_server, **fields), servers_own(thinking_server, **fields)
    check_equal(ours, theirs)
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
    """A known difference: tokens that might begin a stop string come as one in a stream."""
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


def test_of_a_call_that_is_cut_before_its_name_nothing_is_left(llama_server: httpx.Client) -> None:
    """The other known difference: a stream holds back what may become a call."""
    fields = {"tools": [PAINT], "tool_choice": "required", "temperature": 0, "max_tokens": 3}
    ours, theirs = assembled(llama_server, **fields), servers_own(llama_server, **fields)
    assert theirs["choices"][0]["message"]["content"].startswith("<tool_call>")
    assert ours["choices"][0] == {
        **{"finish_reason": "length", "index": 0},
        "message": {"role": "assistant", "content": ""},
    }
    assert ours["usage"]["completion_tokens"] == 3


@pytest.mark.parametrize(
    ("fields", "lost"),
    [
        ({"tool_choice": "required", "max_tokens": 3}, 3),
        ({"tool_choice": "required", "max_tokens": 40}, 0),
        ({"tool_choice": "none", "max_tokens": 3}, 0),
    ],
    ids=str,
)
def test_answer_tells_how_many_tokens_are_lost(
    llama_server: httpx.Client, fields: dict[str, Any], lost: int
) -> None:
    asked = {"messages": [ASKED], "tools": [PAINT], "temperature": 0, **fields}
    request = parse_chat(json.dumps({"model": "tiny", **asked}).encode(), SETTINGS)
    told = passed_on(ask(llama_server, request.upstream_body()).content)
    for make in (chat_assembly, message_assembly, lambda _: ResponsesAssembly(b"", {})):
        assembly = make(request)
        assembly.add(0, told)
        assembly.body()
        assert assembly.lost_tokens == lost


PAINT_TOOL = {"name": "paint", "input_schema": PAINT["function"]["parameters"]}  # type: ignore[index]
BY_TOOL = {"tools": [PAINT_TOOL], "tool_choice": {"type": "any"}, "max_tokens": 200}
MESSAGES: dict[str, dict[str, Any]] = {
    "text": {},
    "tool": BY_TOOL,
    "assistant's words continued": {
        "messages": [ASKED, {"role": "assistant", "content": [{"type": "text", "text": "Well, "}]}]
    },
    "stop sequence": {"stop_sequences": ["a ", "never"]},
    "nothing said": {"stop_sequences": ["k", "t"]},
}
THOUGHTS: dict[str, dict[str, Any]] = {
    "only thoughts": {"thinking": {"type": "enabled", "budget_tokens": 1024}},
    "thoughts are over": {"thinking": {"type": "enabled", "budget_tokens": 8}},
}


def message_body(fields: dict[str, Any], *, stream: bool) -> bytes:
    whole = {"messages": [ASKED], "temperature": 0, "max_tokens": 40, "stream": stream} | fields
    return json.dumps({"model": "tiny", **whole}).encode()


def check_message(server: httpx.Client, fields: dict[str, Any]) -> dict[str, Any]:
    """That a message equals the server's own, in one piece and as a stream; the one in a piece."""
    body, streamed = (message_body(fields, stream=stream) for stream in (False, True))
    request = parse_message(body, SETTINGS)
    assembly = message_assembly(request)
    assembly.add(0, passed_on(ask(server, request.upstream_body()).content))
    ours, theirs = json.loads(assembly.body()), ask(server, body, "/v1/messages").json()
    assert without_names(ours) == without_names(theirs)
    wants = frozenset({Want.PROGRESS})
    chunks = passed_on(
        ask(server, parse_message(streamed, SETTINGS).upstream_body()).content, wants
    )
    shape = MessageShape("id")
    shown = shape.take(Piece(0, chunks)) + shape.end()
    assert blocks(shown) == blocks(ask(server, streamed, "/v1/messages").content)
    return ours  # type: ignore[no-any-return]


def without_names(message: dict[str, Any]) -> dict[str, Any]:
    """A message without what differs between any two.

    That are names, and what was cached.
    """
    used = message["usage"]
    tokens = [used["input_tokens"] + used["cache_read_input_tokens"], used["output_tokens"]]
    content = [{**block, "id": ""} for block in message["content"]]
    return {**message, "id": "", "content": content, "usage": tokens}


def blocks(stream: bytes) -> list[Any]:
    """What a stream of events says: its blocks by index, how it ends, and the tokens."""
    events = [json.loads(event.partition(b"\ndata: ")[2]) for event in stream.split(b"\n\n")[:-1]]
    found: dict[int, list[str]] = {}
    start, *_ = used = [e["message"]["usage"] for e in events if e["type"] == "message_start"]
    assert len(used) == 1
    for event in events:
        if event["type"] == "content_block_start":
            found[event["index"]] = [event["content_block"]["type"], ""]
        elif event["type"] == "content_block_delta":
            kind, text = event["delta"].values()
            found[event["index"]][1] += text
            assert kind[:4] in found[event["index"]][0] or kind.startswith(("input", "signature"))
    end = next(event for event in events if event["type"] == "message_delta")
    prompt = start["input_tokens"] + start["cache_read_input_tokens"]
    return [found, prompt, end["usage"], end["delta"], events[-1]]


@pytest.mark.parametrize("case", MESSAGES)
def test_message_equals_the_servers_own(llama_server: httpx.Client, case: str) -> None:
    ours = check_message(llama_server, MESSAGES[case])
    assert ours["content"] or case == "nothing said"
    assert bool(ours["stop_sequence"]) == ("stop_sequences" in MESSAGES[case])


@pytest.mark.parametrize("case", THOUGHTS)
def test_thoughts_in_a_message_equal_the_servers_own(
    thinking_server: httpx.Client, case: str
) -> None:
    ours = check_message(thinking_server, THOUGHTS[case])
    assert [block["type"] for block in ours["content"]] == ["thinking", "text"][
        : len(ours["content"])
    ]
    assert (case == "only thoughts") == (len(ours["content"]) == 1)


def test_thinking_can_be_disabled(thinking_server: httpx.Client) -> None:
    """Where llama-server goes on to think."""
    request = parse_message(
        message_body({"thinking": {"type": "disabled"}}, stream=False), SETTINGS
    )
    assembly = message_assembly(request)
    assembly.add(0, passed_on(ask(thinking_server, request.upstream_body()).content))
    assert [block["type"] for block in json.loads(assembly.body())["content"]] == ["text"]
