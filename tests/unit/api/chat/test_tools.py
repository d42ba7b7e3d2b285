"""Which tools llama-server is told of, and whether one of them must be called."""

from typing import Any

import pytest

from api.chat.prefix import head_of
from api.errors import ApiError
from tests.unit.api.chat.test_request import parsed, refused_param, upstream


def tool(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name}}


A, B, C = TOOLS = [tool("a"), tool("b"), tool("c")]
ALLOWED = "tool_choice.allowed_tools"


def allowed(mode: Any, tools: Any) -> dict[str, Any]:
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}


@pytest.mark.parametrize(
    ("choice", "tools", "mode"),
    [
        ("none", TOOLS, "none"),
        ("auto", TOOLS, "auto"),
        ("required", TOOLS, "required"),
        (B, [B], "required"),
        (allowed("auto", [C, A]), [A, C], "auto"),
        (allowed("required", [B, B]), [B], "required"),
    ],
)
def test_choice_is_told_in_words_that_llama_server_knows(
    choice: Any, tools: list[Any], mode: str
) -> None:
    sent = upstream(tools=TOOLS, tool_choice=choice)
    assert (sent["tools"], sent["tool_choice"]) == (tools, mode)


@pytest.mark.parametrize(
    ("choice", "param"),
    [
        (3, "tool_choice"),
        ([], "tool_choice"),
        ("any", "tool_choice"),
        ({}, "tool_choice"),
        ({"type": "other"}, "tool_choice"),
        ({"type": ["function"]}, "tool_choice"),
        ({"type": "function"}, "tool_choice.function.name"),
        ({"type": "function", "function": {"name": 3}}, "tool_choice.function.name"),
        (tool("x"), "tool_choice.function.name"),
        ({"type": "allowed_tools"}, ALLOWED),
        (allowed("none", [A]), f"{ALLOWED}.mode"),
        (allowed(None, [A]), f"{ALLOWED}.mode"),
        (allowed("auto", []), f"{ALLOWED}.tools"),
        (allowed("auto", A), f"{ALLOWED}.tools"),
        (allowed("auto", ["a"]), f"{ALLOWED}.tools[0].type"),
        (allowed("auto", [A, {"type": "function"}]), f"{ALLOWED}.tools[1].function.name"),
        (allowed("auto", [A, tool("x")]), f"{ALLOWED}.tools"),
    ],
)
def test_bad_choice_is_named(choice: Any, param: str) -> None:
    assert refused_param(tools=TOOLS, tool_choice=choice) == param


def test_unknown_name_is_told_with_those_that_are_known() -> None:
    with pytest.raises(ApiError, match=r"'x'.*They have: a, b, c"):
        parsed(tools=TOOLS, tool_choice=tool("x"))
    with pytest.raises(ApiError, match="They have: none"):
        parsed(tool_choice=tool("x"))


def test_choice_without_tools_passes() -> None:
    assert upstream(tool_choice="auto")["tool_choice"] == "auto"
    assert "tools" not in upstream(tool_choice="none")


def test_prefix_names_what_is_sent() -> None:
    one = parsed(tools=TOOLS, tool_choice=B)
    assert head_of(one.fields) == head_of(parsed(tools=[B]).fields) != head_of({"tools": TOOLS})


def test_tools_are_bounded_in_sum() -> None:
    large = {"type": "function", "function": {"name": "a", "description": "x" * 600_000}}
    assert upstream(tools=[large])["tools"] == [large]
    assert refused_param(tools=[large, large]) == "tools"
