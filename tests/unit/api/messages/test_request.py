"""A request for a message becomes a chat's, or an error in Anthropic's words."""

import json
from typing import Any

import pytest

from api.chat.request import ChatRequest
from api.errors import ApiError
from api.messages.request import parse_message
from dispatcher.job import Want
from dispatcher.needs import Needs
from testing.builders import make_settings

SETTINGS = make_settings()
TEXT = {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}
DATA = {"type": "base64", "media_type": "image/png", "data": "AAAA"}
PICTURE = {"type": "image", "source": DATA}
PICTURE_PART = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
CALL = {"type": "tool_use", "id": "c", "name": "f", "input": {"x": 1}}
CHAT_CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": {"x": 1}}}
TOOL = {"name": "f", "description": "F.", "input_schema": {"type": "object"}}
FUNCTION = {"name": "f", "description": "F.", "parameters": {"type": "object"}}
CHAT_TOOL = {"type": "function", "function": FUNCTION}
REMINDER = "<system-reminder>\nNow.\n</system-reminder>"
BILL = "x-anthropic-billing-header: v=1; cch=fffff;"
OTHER = {"name": "g", "input_schema": {}}


def part(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def result(content: Any = ..., **fields: Any) -> dict[str, Any]:
    said = {} if content is ... else {"content": content}
    return {"type": "tool_result", "tool_use_id": "c", **said, **fields}


def told(content: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": "c", "content": content}


def test_only_a_message_with_stop_sequences_asks_which_one_ended_it() -> None:
    details = {"verbose": True, "response_fields": ["stopping_word"]}
    with_stops = json.loads(asked(stop_sequences=["END"]).upstream_body())
    assert {name: with_stops[name] for name in details} == details
    for plain in (asked(), asked(stop_sequences=[])):
        assert not details.keys() & json.loads(plain.upstream_body()).keys()


def document(source: Any, **fields: Any) -> dict[str, Any]:
    return {"type": "document", "source": source, **fields}


def asked(**fields: Any) -> ChatRequest:
    body = {"model": "tiny", "max_tokens": 9, "messages": [user(TEXT)]} | fields
    present = {name: value for name, value in body.items() if value is not ...}
    return parse_message(json.dumps(present).encode(), SETTINGS)


def refused(**fields: Any) -> ApiError:
    with pytest.raises(ApiError) as raised:
        asked(**fields)
    assert raised.value.status == 400
    return raised.value


@pytest.mark.parametrize(
    ("messages", "chat"),
    [
        ([{"role": "user", "content": "Hi"}], [{"role": "user", "content": "Hi"}]),
        ([user(TEXT, PICTURE)], [user(part("a"), PICTURE_PART)]),
        ([user(TEXT), user(PICTURE)], [user(part("a"), PICTURE_PART)]),
        (
            [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}, assistant(CALL)],
            [
                user(part("a"), part("b")),
                {"role": "assistant", "content": "", "tool_calls": [CHAT_CALL]},
            ],
        ),
        ([user(TEXT), {"role": "assistant"}], [user(part("a"))]),
        ([user(), user(TEXT)], [user(part("a"))]),
        ([assistant(TEXT, CALL)], [assistant(part("a")) | {"tool_calls": [CHAT_CALL]}]),
        (
            [assistant({"type": "thinking", "thinking": "b"}, {"type": "redacted_thinking"}, CALL)],
            [
                {
                    "role": "assistant",
                    "content": "",
                    "tool_calls": [CHAT_CALL],
                    "reasoning_content": "b",
                }
            ],
        ),
        ([user(result("x"), TEXT)], [told("x"), user(part("a"))]),
        ([user(TEXT, result("x"))], [user(part("a")), told("x")]),
        ([user(result([TEXT, TEXT]))], [told("aa")]),
        ([user(result([TEXT, PICTURE]))], [told([part("a"), PICTURE_PART])]),
        ([user(result())], [told("")]),
        ([user(result("no", is_error=True))], [told("no")]),
        ([user(result(is_error=True))], [told("The tool failed.")]),
        ([user(result([{"type": "tool_reference", "tool_name": "f"}]))], [told("f")]),
        (
            [user(document({"type": "text", "data": "b"}, title="T"))],
            [user(part("T\n"), part("b"))],
        ),
        ([user(document({"type": "content", "content": [TEXT]}))], [user(part("a"))]),
        ([user(document({"type": "content", "content": "b"}))], [user(part("b"))]),
        (
            [user({"type": "search_result", "title": "T", "source": "S", "content": [TEXT]})],
            [user(part("T\nS\n"), part("a"))],
        ),
        ([user(TEXT), assistant({"type": "server_tool_use", "id": "s"})], [user(part("a"))]),
        (
            [user(TEXT), {"role": "system", "content": "Now."}],
            [user(part("a"), part(REMINDER))],
        ),
        (
            [user(TEXT, result("x")), {"role": "system", "content": [part("Now.")]}],
            [user(part("a")), told("x"), {"role": "user", "content": REMINDER}],
        ),
    ],
)
def test_messages_become_those_of_a_chat(messages: list[Any], chat: list[Any]) -> None:
    assert asked(messages=messages).fields["messages"] == chat


@pytest.mark.parametrize(
    ("said", "arguments"), [(None, {}), ("", {}), ({}, {}), ("{}", '"{}"'), ([1], "[1]"), (3, "3")]
)
def test_history_may_have_a_call_with_any_input(said: Any, arguments: Any) -> None:
    (message,) = asked(messages=[assistant({**CALL, "input": said})]).fields["messages"]
    assert message["tool_calls"][0]["function"]["arguments"] == arguments


def test_history_may_lack_names_and_contents() -> None:
    call = {"type": "tool_use", "id": None}
    bare = {"type": "tool_result", "content": "x"}
    history = [{"role": "user", "content": None}, assistant({"type": "thinking"}, call), user(bare)]
    function = {"name": "", "arguments": {}}
    assert asked(messages=history).fields["messages"] == [
        {"role": "user", "content": ""},
        {
            **{"role": "assistant", "content": ""},
            "tool_calls": [{"id": "", "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": "", "content": "x"},
    ]


@pytest.mark.parametrize(
    ("system", "text"),
    [
        ("Be kind.", "Be kind."),
        ([TEXT, part("b")], "ab"),
        ([part("x-anthropic-billing-header: v=1; cch=12ab9;"), part("b")], f"{BILL}b"),
        ("x-anthropic-billing-header: v=1; cch=12ab9;b", f"{BILL}b"),
        (f" {BILL}12ab9;", f" {BILL}12ab9;"),
    ],
)
def test_system_prompt_comes_first(system: Any, text: str) -> None:
    first, *_ = asked(system=system).fields["messages"]
    assert first == {"role": "system", "content": text}


def test_there_is_one_system_message() -> None:
    first = {"role": "system", "content": "b"}
    assert asked(system="a", messages=[first, user(TEXT)]).fields["messages"] == [
        {"role": "system", "content": "a\n\nb"},
        user(part("a")),
    ]


@pytest.mark.parametrize(
    ("fields", "chat"),
    [
        ({"max_tokens": ...}, {"max_tokens": 4096}),
        ({"max_tokens": 7, "top_k": 3, "top_p": 0.5}, {"max_tokens": 7, "top_k": 3, "top_p": 0.5}),
        ({"stop_sequences": ["a"]}, {"stop": ["a"]}),
        ({"seed": 1, "min_p": 0.1}, {"seed": 1, "min_p": 0.1}),
        ({"tools": [TOOL]}, {"tools": [CHAT_TOOL]}),
        (
            {"tools": [{"name": "f", "type": "custom", "defer_loading": True}]},
            {
                "tools": [
                    {
                        "type": "function",
                        "function": FUNCTION | {"description": "", "parameters": {}},
                    }
                ]
            },
        ),
        ({"tools": [TOOL], "tool_choice": {"type": "auto"}}, {"tool_choice": "auto"}),
        ({"tools": [TOOL], "tool_choice": {"type": "any"}}, {"tool_choice": "required"}),
        ({"tools": [TOOL], "tool_choice": {"type": "none"}}, {"tool_choice": "none"}),
        (
            {"tools": [TOOL, OTHER], "tool_choice": {"type": "tool", "name": "f"}},
            {"tools": [CHAT_TOOL], "tool_choice": "required"},
        ),
        (
            {"tools": [TOOL], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
            {"parallel_tool_calls": False},
        ),
        ({"thinking": {"type": "enabled", "budget_tokens": 9}}, {"thinking_budget_tokens": 9}),
        ({"thinking": {"type": "enabled"}}, {"thinking_budget_tokens": 10_000}),
        (
            {"thinking": {"type": "disabled"}, "chat_template_kwargs": {"a": 1}},
            {"chat_template_kwargs": {"enable_thinking": False, "a": 1}},
        ),
        ({"output_config": {"effort": "max"}}, {"reasoning_effort": "high"}),
        (
            {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"schema": {"type": "object"}},
                }
            },
        ),
        ({"metadata": {"user_id": "u"}}, {"user": "u"}),
        ({"service_tier": "standard_only"}, {"service_tier": "default"}),
        ({"service_tier": "auto"}, {"service_tier": "auto"}),
    ],
)
def test_fields_become_those_of_a_chat(fields: dict[str, Any], chat: dict[str, Any]) -> None:
    found = asked(**fields).fields
    assert {name: found[name] for name in chat} == chat


def test_what_is_not_known_or_a_chats_alone_is_left_out() -> None:
    plain = json.loads(asked().upstream_body())
    more = {
        **{"context_management": {}, "betas": ["b"], "mcp_servers": [], "container": None},
        **{"thinking": {"type": "adaptive"}, "top_p": None, "tools": None, "cache_control": {}},
        **{"n_predict": 5, "stop": ["a"], "logprobs": True, "echo": True, "n": 2},
        **{"continue_final_message": True, "response_format": {"type": "json_object"}},
    }
    assert json.loads(asked(**more).upstream_body()) == plain


def test_stream_tells_the_tokens_of_the_prompt_first() -> None:
    whole, stream = asked().work("me", 0), asked(stream=True).work("me", 0)
    assert whole.wants == {Want.USAGE}
    assert stream.wants == {Want.STREAM, Want.USAGE, Want.PROGRESS}


def test_request_is_a_chat_to_the_queue() -> None:
    assert asked(messages=[user(PICTURE)]).needs == Needs(frozenset({"vision"}))
    assert asked(messages=[user(TEXT), assistant(TEXT)]).prefill == "a"
    turn = asked(messages=[user(TEXT)]).work("me", 0)
    marked = {**TEXT, "cache_control": None}
    later = asked(messages=[user(marked), assistant(TEXT), user(TEXT)]).work("me", 0)
    assert turn.prefixes[0] in later.prefixes


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": 5}, "model"),
        ({"messages": ...}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": [1]}, "messages[0]"),
        ({"messages": [{"role": "tool", "content": "a"}]}, "messages[0].role"),
        ({"messages": [{"role": ["user"], "content": "a"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [user(TEXT), user(TEXT, {"type": "txt"})]}, "messages[1].content[1].type"),
        ({"messages": [user({"type": ["text"]})]}, "messages[0].content[0].type"),
        ({"messages": [user(1)]}, "messages[0].content[0].type"),
        ({"messages": [user(CALL)]}, "messages[0].content[0].type"),
        ({"messages": [user({"type": "text"})]}, "messages[0].content[0].text"),
        ({"messages": [assistant({**CALL, "id": 3})]}, "messages[0].content[0].id"),
        ({"messages": [assistant({**CALL, "name": 3})]}, "messages[0].content[0].name"),
        ({"messages": [assistant(PICTURE)]}, "messages[0].content"),
        ({"messages": [assistant(result("x"))]}, "messages[0].content[0].type"),
        (
            {"messages": [user({**result("x"), "tool_use_id": 1})]},
            "messages[0].content[0].tool_use_id",
        ),
        ({"messages": [user(result(1))]}, "messages[0].content[0].content"),
        (
            {"messages": [user(result([{"type": "text"}]))]},
            "messages[0].content[0].content[0].text",
        ),
        (
            {"messages": [user({"type": "image", "source": {"type": "url", "url": "http://a"}})]},
            "messages[0].content[0].source.url",
        ),
        (
            {"messages": [user({"type": "image", "source": {"type": "file", "file_id": "a"}})]},
            "messages[0].content[0].source.type",
        ),
        ({"messages": [user({"type": "image"})]}, "messages[0].content[0].source"),
        ({"messages": [user(document(DATA))]}, "messages[0].content[0].source.type"),
        ({"system": 1}, "system"),
        ({"system": [PICTURE]}, "system"),
        ({"messages": [user(TEXT), {"role": "system", "content": 1}]}, "messages[1].content"),
        ({"stop_sequences": "a"}, "stop_sequences"),
        ({"max_tokens": "a"}, "max_tokens"),
        ({"temperature": "a"}, "temperature"),
        ({"stream": 1}, "stream"),
        ({"tools": {}}, "tools"),
        ({"tools": [1]}, "tools[0]"),
        ({"tools": [TOOL, {"type": "web_search_20250305", "name": "web_search"}]}, "tools[1].type"),
        ({"tools": [{"input_schema": {}}]}, "tools[0].name"),
        ({"tools": [{**TOOL, "description": 1}]}, "tools[0].description"),
        ({"tools": [{**TOOL, "input_schema": []}]}, "tools[0].input_schema"),
        (
            {"tools": [{**TOOL, "input_schema": {"type": "array", "minItems": 9, "maxItems": 1}}]},
            "tools[0].input_schema",
        ),
        ({"tool_choice": "any"}, "tool_choice.type"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"tools": [TOOL], "tool_choice": {"type": "tool", "name": "h"}}, "tool_choice.name"),
        (
            {"tool_choice": {"type": "any", "disable_parallel_tool_use": 1}},
            "tool_choice.disable_parallel_tool_use",
        ),
        ({"thinking": "on"}, "thinking"),
        ({"thinking": {}}, "thinking.type"),
        ({"thinking": {"type": "enabled", "budget_tokens": -1}}, "thinking.budget_tokens"),
        ({"output_config": {"effort": ["low"]}}, "output_config.effort"),
        ({"output_config": {"format": {"type": "text"}}}, "output_config.format.type"),
        (
            {
                "output_config": {
                    "format": {
                        "type": "json_schema",
                        "schema": {"type": "array", "minItems": 9, "maxItems": 1},
                    }
                }
            },
            "output_config.format.schema",
        ),
        ({"metadata": {"user_id": "u" * 257}}, "metadata.user_id"),
    ],
)
def test_what_is_wrong_is_named_as_anthropic_names_it(fields: dict[str, Any], param: str) -> None:
    error = refused(**fields)
    assert error.param == param
    assert f"`{param}`" in error.message


def test_tool_that_anthropic_runs_is_refused_by_its_name() -> None:
    error = refused(tools=[{"type": "web_search_20250305", "name": "web_search"}])
    assert "web_search_20250305" in error.message
