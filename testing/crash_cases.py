"""Requests that crash or fill llama.cpp's server, b11549: what was reported, and what was found.

What each does to a server directly was recorded with that build. docs/crashes-by-input.md also has
those that it does not show.
"""

import json
from dataclasses import dataclass
from typing import Any

from testing.field_cases import INT, parentheses, schema_format, tool

CHAT, NATIVE = "/v1/chat/completions", "/completion"
SEGFAULT, ABORT = "SIGSEGV", "SIGABRT"


@dataclass(frozen=True, slots=True)
class Crash:
    """A request that llamaq refuses, and the field that it names; `None`: it is `taken`.

    An accepted request has lost the harmful field. `issue` is llama.cpp's, or names the finder.
    """

    issue: str
    directly: str
    path: str
    body: bytes
    param: str | None = None
    taken: bool = False


def chat(**fields: Any) -> bytes:
    asked = {"model": "tiny", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4}
    return json.dumps(asked | fields).encode()


def native(**fields: Any) -> bytes:
    return json.dumps({"model": "tiny", "prompt": "Hi", "n_predict": 4} | fields).encode()


def schema(schema: Any) -> bytes:
    return chat(response_format=schema_format(schema))


def array(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def deep_schema(depth: int) -> bytes:
    return b'{"type":"array","items":' * depth + b'{"type":"string"}' + b"}" * depth


def with_deep(body: bytes, deep: bytes) -> bytes:
    """`json` itself makes nothing so deep."""
    return body.replace(b'"DEEP"', deep)


def history(arguments: str) -> bytes:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
    told = {"role": "tool", "tool_call_id": "c", "content": "y"}
    asked = {"role": "user", "content": "x"}
    return chat(messages=[asked, {"role": "assistant", "tool_calls": [call]}, told])


SCHEMA = "response_format.json_schema.schema"
CIRCLE = {"allOf": [{"$ref": "#/b"}]}
LOOKS_BACK = {"repeat_penalty": 1.1, "dry_multiplier": 0.5}
OBJECTS = '{"a":' * 60_000 + "1" + "}" * 60_000
PROPERTIES = {f"p{i}": {"type": "string"} for i in range(5000)}

CRASHES = [
    Crash("26600", SEGFAULT, NATIVE, native(grammar=parentheses(60_000)), "grammar"),
    Crash("26600", SEGFAULT, CHAT, chat(grammar=parentheses(60_000)), "grammar"),
    Crash(
        "a circle of $ref",
        SEGFAULT,
        CHAT,
        schema({"$ref": "#/a", "a": CIRCLE, "b": {"$ref": "#/c"}, "c": {"$ref": "#/b"}}),
        SCHEMA,
    ),
    Crash(
        "a circle through allOf",
        SEGFAULT,
        CHAT,
        schema({"allOf": [{"properties": {"a": {"allOf": [{"$ref": "#/allOf/0"}]}}}]}),
        SCHEMA,
    ),
    Crash(
        "a schema 30,000 deep",
        SEGFAULT,
        CHAT,
        with_deep(chat(response_format=schema_format("DEEP")), deep_schema(30_000)),
    ),
    Crash(
        "a tool 30,000 deep",
        SEGFAULT,
        CHAT,
        with_deep(chat(tools=[tool("f", "DEEP")]), deep_schema(30_000)),
    ),
    Crash(
        "the same to be counted",
        SEGFAULT,
        "/v1/messages/count_tokens",
        with_deep(chat(tools=[{"name": "f", "input_schema": "DEEP"}]), deep_schema(30_000)),
    ),
    Crash(
        "the same as a response",
        SEGFAULT,
        "/v1/responses",
        b'{"input":"Hi","tools":[{"type":"function","name":"f","parameters":'
        + deep_schema(30_000)
        + b"}]}",
    ),
    Crash(
        "variables 60,000 deep",
        SEGFAULT,
        CHAT,
        with_deep(chat(chat_template_kwargs={"a": "DEEP"}), array(60_000)),
    ),
    Crash(
        "the same for a template",
        SEGFAULT,
        "/apply-template",
        with_deep(chat(chat_template_kwargs={"a": "DEEP"}), array(60_000)),
    ),
    Crash(
        "arguments 60,000 deep, in a string",
        SEGFAULT,
        CHAT,
        history(OBJECTS),
        "messages[1].tool_calls[0].function.arguments",
    ),
    Crash(
        "the same for a template",
        SEGFAULT,
        "/apply-template",
        history(OBJECTS),
        "messages[1].tool_calls[0].function.arguments",
    ),
    Crash(
        "the same as a response",
        SEGFAULT,
        "/v1/responses",
        json.dumps(
            {
                "input": [
                    {"type": "function_call", "call_id": "c", "name": "f", "arguments": OBJECTS},
                    {"type": "function_call_output", "call_id": "c", "output": "y"},
                ]
            }
        ).encode(),
        "input[0].arguments",
    ),
    Crash(
        "grammar_triggers of an unknown type",
        ABORT,
        NATIVE,
        native(
            grammar='root ::= "a"',
            grammar_lazy=True,
            grammar_triggers=[{"type": 99, "value": "a"}],
        ),
        taken=True,
    ),
    Crash(
        "a pattern {5,2}",
        "hangs, 3.6 GB",
        CHAT,
        schema({"type": "string", "pattern": "^a{5,2}$"}),
        SCHEMA,
    ),
    Crash(
        "an enum of 100,000", "hangs", CHAT, schema({"enum": [*map(str, range(100_000))]}), SCHEMA
    ),
    Crash(
        "5,000 properties",
        "hangs",
        CHAT,
        schema({"type": "object", "properties": PROPERTIES}),
        SCHEMA,
    ),
    Crash(
        "repeat_last_n",
        "8 GB",
        NATIVE,
        native(repeat_last_n=INT - 1, **LOOKS_BACK),
        "repeat_last_n",
    ),
    Crash(
        "dry_penalty_last_n",
        "8 GB",
        NATIVE,
        native(dry_penalty_last_n=INT - 1, **LOOKS_BACK),
        "dry_penalty_last_n",
    ),
    Crash(
        "a sampler 1,000 times",
        "0.4 GB",
        NATIVE,
        native(samplers=["penalties"] * 1000, repeat_last_n=2000),
        "samplers",
    ),
]
