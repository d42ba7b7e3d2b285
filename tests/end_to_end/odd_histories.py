"""Histories of chats as clients may send them: missing, empty and odd parts."""

from typing import Any

USER = {"role": "user", "content": "Hi"}
TEXT = {"type": "text", "text": "x"}
CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
RESULT = {"role": "tool", "content": "x", "tool_call_id": "1"}


def user(**said: Any) -> list[Any]:
    return [{"role": "user", **said}]


def assistant(**said: Any) -> list[Any]:
    return [USER, {"role": "assistant", **said}, USER]


def call(**changes: Any) -> list[Any]:
    return assistant(content=None, tool_calls=[CALL | changes])


def function(**said: Any) -> list[Any]:
    return call(function=said)


def result(**changes: Any) -> list[Any]:
    said = {name: value for name, value in (RESULT | changes).items() if value is not ...}
    return [USER, {"role": "assistant", "content": None, "tool_calls": [CALL]}, said]


HISTORIES: dict[str, list[Any]] = {
    "no content": user(),
    "null content": user(content=None),
    "a number for content": user(content=3),
    "an object for content": user(content={}),
    "empty content": user(content=""),
    "no parts": user(content=[]),
    "system alone": [{"role": "system", "content": "x"}],
    "null system": [{"role": "system", "content": None}, USER],
    "developer": [{"role": "developer", "content": "x"}, USER],
    "odd role": [USER, {"role": "wizard", "content": "x"}, USER],
    "empty role": [{"role": "", "content": "x"}],
    "role in capitals": [{"role": "USER", "content": "x"}],
    "null role": [{"role": None, "content": "x"}],
    "no role": [{"content": "x"}],
    "empty name": user(content="x", name=""),
    "a number for a name": user(content="x", name=3),
    "fields nobody knows": user(content="x", foo={"a": [1]}, refusal=None, annotations=[]),
    "part that is a string": user(content=["Hi"]),
    "null part": user(content=[None]),
    "part without type": user(content=[{"text": "x"}]),
    "unknown part": user(content=[{"type": "dance", "text": "x"}]),
    "text part without text": user(content=[{"type": "text"}]),
    "null text": user(content=[{"type": "text", "text": None}]),
    "empty text": user(content=[{"type": "text", "text": ""}]),
    "cached part": user(content=[TEXT | {"cache_control": {"type": "ephemeral"}}]),
    "Responses' part": user(content=[{"type": "input_text", "text": "x"}]),
    "null answer": assistant(content=None),
    "empty answer": assistant(content=""),
    "answer without parts": assistant(content=[]),
    "refusal": assistant(content=[{"type": "refusal", "refusal": "x"}]),
    "answer without calls": assistant(content="x", tool_calls=[]),
    "object for calls": assistant(content="x", tool_calls={}),
    "string for calls": assistant(content="x", tool_calls="x"),
    "calls of a user": user(content="x", tool_calls=[CALL]),
    "old call": assistant(content=None, function_call={"name": "f", "arguments": "{}"}),
    "a number for thoughts": assistant(content="x", reasoning_content=3),
    "other thoughts": assistant(content="x", reasoning="y"),
    "two answers": [USER, *[{"role": "assistant", "content": "x"}] * 2, USER],
    "call without type": assistant(content=None, tool_calls=[{"function": CALL["function"]}]),
    "call of another type": call(type="custom"),
    "a number for an id": call(id=3),
    "call without function": call(function=None),
    "no name": function(arguments="{}"),
    "empty function name": function(name="", arguments="{}"),
    "a number for a function name": function(name=3, arguments="{}"),
    "no arguments": function(name="f"),
    "null arguments": function(name="f", arguments=None),
    "object for arguments": function(name="f", arguments={"a": 1}),
    "list for arguments": function(name="f", arguments=[1]),
    "number for arguments": function(name="f", arguments=3),
    "arguments that are a list": function(name="f", arguments="[1]"),
    "arguments that are no JSON": function(name="f", arguments='{"a": "b'),
    "result": result(),
    "result without id": result(tool_call_id=...),
    "a number for a result's id": result(tool_call_id=3),
    "result without content": result(content=...),
    "null result": result(content=None),
    "result without parts": result(content=[]),
    "result in parts": result(content=[TEXT]),
    "object for a result": result(content={"a": 1}),
    "result of nothing": [RESULT, USER],
    "old result": [USER, {"role": "function", "name": "f", "content": "x"}],
}
