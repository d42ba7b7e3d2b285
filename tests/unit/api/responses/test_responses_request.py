"""What a request of the Responses API asks of a llama-server."""

import json
from typing import Any

import pytest

from api.errors import ApiError
from api.responses.request import MOST_REPEATED_BYTES, ResponsesRequest, parse_responses
from api.responses.tools import Tool
from dispatcher.job import Want
from testing.builders import make_settings

SETTINGS = make_settings()
PIXEL = "data:image/png;base64,AA=="
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}
BAD_SCHEMA = {"type": "string", "minLength": 9, "maxLength": 3}
FUNCTION = {"type": "function", "name": "f", "parameters": SCHEMA}
CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"a":1}'}
CHAT_CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}


def parsed(**fields: Any) -> ResponsesRequest:
    body = {"model": "tiny", "input": "Hi", **fields}
    return parse_responses(json.dumps(body).encode(), SETTINGS)


def upstream(**fields: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(parsed(**fields).work("me", 0).bodies[0])
    return body


def messages(*items: Any, **fields: Any) -> list[Any]:
    found: list[Any] = upstream(input=list(items), **fields)["messages"]
    return found


def repeated(**fields: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(b"{%b}" % parsed(**fields).repeated)
    return found


def said(role: str, *parts: Any) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": list(parts)}


def text(text: str, type_: str = "input_text") -> dict[str, str]:
    return {"type": type_, "text": text}


def test_text_becomes_a_message_of_the_user() -> None:
    assert upstream()["messages"] == [{"role": "user", "content": "Hi"}]
    assert upstream(instructions="Be brief.")["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
    ]


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"role": "user", "content": "a"}, {"role": "user", "content": "a"}),
        (said("user", text("a")), {"role": "user", "content": "a"}),
        (
            said("user", text("a"), {"type": "input_image", "image_url": PIXEL, "detail": "auto"}),
            {
                "role": "user",
                "content": [text("a", "text"), {"type": "image_url", "image_url": {"url": PIXEL}}],
            },
        ),
        ({"role": "assistant", "content": "a"}, {"role": "assistant", "content": "a"}),
        ({"role": "assistant", "content": None}, {"role": "assistant", "content": []}),
        (said("assistant", text("a", "output_text")), {"role": "assistant", "content": "a"}),
        (
            said("assistant", {"type": "refusal", "refusal": "no"}),
            {"role": "assistant", "content": "no"},
        ),
        (CALL, {"role": "assistant", "tool_calls": [CHAT_CALL]}),
        (
            {"type": "function_call_output", "call_id": "c", "output": "x"},
            {"role": "tool", "tool_call_id": "c", "content": "x"},
        ),
        (
            {"type": "function_call_output", "call_id": "c", "output": [text("x"), text("y")]},
            {
                "role": "tool",
                "tool_call_id": "c",
                "content": [text("x", "text"), text("y", "text")],
            },
        ),
        (
            {"type": "custom_tool_call", "call_id": "c", "name": "f", "input": 'say "x"'},
            {
                "role": "assistant",
                "tool_calls": [
                    {
                        "id": "c",
                        "type": "function",
                        "function": {"name": "f", "arguments": '{"input":"say \\"x\\""}'},
                    }
                ],
            },
        ),
        (
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [text("short", "summary_text")],
                "content": [text("a", "reasoning_text"), text("b", "reasoning_text")],
            },
            {"role": "assistant", "content": "", "reasoning_content": "a\nb"},
        ),
        (  # as OpenAI's own servers send it, and as Codex sends it back
            {"type": "reasoning", "summary": [text("short", "summary_text")], "content": None},
            {"role": "assistant", "content": "", "reasoning_content": "short"},
        ),
    ],
)
def test_item_becomes_a_message(item: Any, message: Any) -> None:
    assert messages(said("user", text("q")), item)[1:] == [message]


def test_what_the_assistant_does_in_a_row_is_one_message() -> None:
    thought = {"type": "reasoning", "summary": [], "content": [text("hm", "reasoning_text")]}
    items = [thought, said("assistant", text("a", "output_text")), CALL, {**CALL, "call_id": "d"}]
    (_, message) = messages(said("user", text("q")), *items)
    assert message == {
        "role": "assistant",
        "content": "a",
        "reasoning_content": "hm",
        "tool_calls": [CHAT_CALL, {**CHAT_CALL, "id": "d"}],
    }


def test_what_a_conversation_begins_with_is_one_message() -> None:
    """Many templates refuse a second one."""
    first, user, later = messages(
        said("developer", text("b"), text("c")),
        said("user", text("q")),
        said("developer", text("d")),
        instructions="a",
    )
    assert first == {"role": "system", "content": "a\n\nb\n\nc"}
    assert (user["role"], later) == ("user", {"role": "developer", "content": "d"})


def test_picture_of_the_system_stays_by_itself() -> None:
    picture = said("system", {"type": "input_image", "image_url": PIXEL})
    roles = [message["role"] for message in messages(picture, said("system", text("a")))]
    assert roles == ["system", "system"]


def test_what_can_be_left_out_of_a_history_is() -> None:
    items = [
        {"type": "web_search_call", "id": "ws", "status": "completed", "action": {}},
        {"type": "reasoning", "summary": [], "encrypted_content": "x"},
    ]
    assert messages(said("user", text("q")), *items) == [{"role": "user", "content": "q"}]


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"max_output_tokens": 7}, {"max_tokens": 7}),
        ({"reasoning": {"effort": "low", "summary": "auto"}}, {"reasoning_effort": "low"}),
        ({"text": {"format": {"type": "text"}, "verbosity": "low"}}, {}),
        (
            {"text": {"format": {"type": "json_object"}}},
            {"response_format": {"type": "json_object"}},
        ),
        (
            {"text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}}},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "n", "schema": SCHEMA},
                }
            },
        ),
        ({"temperature": 0.5, "top_p": 0.5, "top_k": 3}, {"temperature": 0.5, "top_p": 0.5}),
        ({"stop": ["x"], "seed": 1, "top_k": 3, "min_p": 0.1}, {"stop": ["x"], "top_k": 3}),
        ({"chat_template_kwargs": {"a": 1}}, {"chat_template_kwargs": {"a": 1}}),
        (
            {"include": ["message.output_text.logprobs"], "top_logprobs": 2},
            {"logprobs": True, "top_logprobs": 2},
        ),
        ({"parallel_tool_calls": False}, {"parallel_tool_calls": False}),
    ],
)
def test_field_becomes_that_of_a_chat(fields: dict[str, Any], found: dict[str, Any]) -> None:
    body = upstream(**fields)
    assert {name: body[name] for name in found} == found
    assert ("response_format" in body) == ("response_format" in found)


def test_fields_that_mean_nothing_to_a_llama_server_stay_behind() -> None:
    ours = {
        **{"store": True, "truncation": "auto", "include": ["reasoning.encrypted_content"]},
        **{"metadata": {"a": "b"}, "max_tool_calls": 3, "prompt_cache_retention": "24h"},
        **{"client_metadata": {}, "messages": [], "n": 4, "previous_response_id": None},
        **{"conversation": None, "background": False, "unknown": 1, "safety_identifier": "x"},
    }
    assert upstream(**ours) == upstream()


def test_a_stream_always_tells_its_usage_and_the_progress_of_its_prompt() -> None:
    asked = parsed(stream=True, stream_options={"include_obfuscation": False})
    assert asked.work("me", 0).wants == {Want.STREAM, Want.USAGE, Want.PROGRESS}
    assert not asked.tells_progress
    assert parsed().work("me", 0).wants == {Want.USAGE}


def test_end_user_has_either_name() -> None:
    assert parsed(safety_identifier="ann").fields["user"] == "ann"
    assert parsed(safety_identifier="ann", user="bob").fields["user"] == "bob"


def test_tools_become_functions() -> None:
    asked = parsed(
        tools=[
            FUNCTION,
            {"type": "web_search"},
            {"type": "namespace", "name": "mcp__a", "description": "All.", "tools": [FUNCTION]},
            {
                "type": "custom",
                "name": "patch",
                "description": "Patches.",
                "format": {"type": "grammar", "syntax": "lark", "definition": "start: X"},
            },
        ]
    )
    body = json.loads(asked.work("me", 0).bodies[0])
    plain, named, custom = (tool["function"] for tool in body["tools"])
    assert plain == {"strict": True, "name": "f", "parameters": SCHEMA}
    assert (named["name"], named["description"]) == ("mcp__a__f", "All.")
    assert custom["name"] == "patch"
    assert custom["parameters"]["required"] == ["input"]
    assert "start: X" in custom["description"]
    assert asked.tools == {
        "mcp__a__f": Tool("f", "mcp__a"),
        "patch": Tool("patch", is_custom=True),
    }
    shown = json.loads(b"{%b}" % asked.repeated)["tools"]
    assert [tool["type"] for tool in shown] == ["function", "namespace", "custom"]


def test_call_of_a_tool_in_a_namespace_keeps_its_name() -> None:
    (_, message) = messages(said("user", text("q")), {**CALL, "namespace": "mcp__a"})
    assert message["tool_calls"][0]["function"]["name"] == "mcp__a__f"


@pytest.mark.parametrize(
    ("choice", "found"),
    [
        ("auto", (["f", "g"], "auto")),
        ("none", (["f", "g"], "none")),
        ("required", (["f", "g"], "required")),
        ({"type": "function", "name": "g"}, (["g"], "required")),
        (
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
            (["f"], "auto"),
        ),
    ],
)
def test_tool_choice(choice: Any, found: Any) -> None:
    body = upstream(tools=[FUNCTION, {**FUNCTION, "name": "g"}], tool_choice=choice)
    assert ([tool["function"]["name"] for tool in body["tools"]], body["tool_choice"]) == found


def test_answer_repeats_what_was_asked() -> None:
    again = repeated(
        instructions="i", metadata={"a": "b"}, tools=[FUNCTION], temperature=0.5, store=True
    )
    assert (again["instructions"], again["metadata"], again["temperature"]) == (
        "i",
        {"a": "b"},
        0.5,
    )
    assert again["tools"] == [{**FUNCTION, "strict": True}]
    assert (again["store"], again["truncation"], again["tool_choice"]) == (
        False,
        "disabled",
        "auto",
    )


def test_answer_repeats_nothing_that_is_large() -> None:
    assert repeated(instructions="i" * MOST_REPEATED_BYTES)["instructions"] is None


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": None}, "input"),
        ({"input": 5}, "input"),
        ({"input": []}, "input"),
        ({"input": ["x"]}, "input[0]"),
        ({"input": [{"id": "msg_1"}]}, "input[0]"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0]"),
        ({"input": [{"type": "strange"}]}, "input[0].type"),
        ({"input": [{"type": ["message"]}]}, "input[0].type"),
        ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        ({"input": [said("user", {"type": "input_file"})]}, "input[0].content[0].type"),
        ({"input": [said("user", {"type": "input_text"})]}, "input[0].content[0].text"),
        (
            {"input": [said("user", {"type": "input_image", "image_url": "http://a"})]},
            "input[0].content[0].image_url",
        ),
        (
            {"input": [said("user", {"type": "input_image", "file_id": "f"})]},
            "input[0].content[0].file_id",
        ),
        ({"input": ["Hi", {**CALL, "arguments": "{"}][1:]}, "input[0].arguments"),
        ({"input": [{**CALL, "name": ""}]}, "input[0].name"),
        ({"input": [{**CALL, "call_id": None}]}, "input[0].call_id"),
        ({"input": [{"type": "function_call_output", "call_id": "c"}]}, "input[0].output"),
        ({"input": [{"type": "reasoning", "content": "x"}]}, "input[0].content"),
        ({"instructions": 5}, "instructions"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "p"}}, "prompt"),
        ({"background": True}, "background"),
        ({"metadata": "x"}, "metadata"),
        ({"truncation": "some"}, "truncation"),
        ({"include": "x"}, "include"),
        ({"max_output_tokens": "x"}, "max_output_tokens"),
        ({"reasoning": "x"}, "reasoning"),
        ({"reasoning": {"effort": 1}}, "reasoning.effort"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
        ({"text": {"format": {"type": "json_schema"}}}, "text.format.schema"),
        (
            {"text": {"format": {"type": "json_schema", "schema": BAD_SCHEMA}}},
            "text.format.schema",
        ),
        ({"tools": {}}, "tools"),
        ({"tools": ["x"]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        (
            {"tools": [{"type": "web_search"}, {**FUNCTION, "parameters": BAD_SCHEMA}]},
            "tools[1].parameters",
        ),
        ({"tools": [{"type": "namespace", "name": "n"}]}, "tools[0].tools"),
        (
            {"tools": [{"type": "namespace", "name": "n", "description": {}, "tools": []}]},
            "tools[0].description",
        ),
        ({"tools": [{"type": "custom", "name": "p", "format": "x"}]}, "tools[0].format"),
        (
            {
                "tools": [
                    {"type": "namespace", "name": "n", "tools": [{**FUNCTION, "description": 5}]}
                ]
            },
            "tools[0].tools[0].description",
        ),
        ({"tool_choice": "some"}, "tool_choice"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [{"type": "web_search"}], "tool_choice": "required"}, "tool_choice"),
        ({"tools": [FUNCTION], "tool_choice": {"type": "web_search"}}, "tool_choice"),
        (
            {"tools": [FUNCTION], "tool_choice": {"type": "function", "name": "g"}},
            "tool_choice.name",
        ),
        ({"tool_choice": {"type": "allowed_tools", "mode": "auto"}}, "tool_choice.tools"),
        (
            {
                "tools": [FUNCTION],
                "include": ["message.output_text.logprobs"],
            },
            "include",
        ),
    ],
)
def test_bad_field_is_named_as_the_client_knows_it(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(ApiError) as caught:
        parsed(**fields)
    assert (caught.value.status, caught.value.param) == (400, param)
    assert f"`{param}`" in caught.value.message
    assert "messages" not in caught.value.message.replace("more messages", "")
