import json
from typing import Any

import pytest

from api.chat.messages import MAX_PIECES, MEDIA, MODALITIES, checked_messages, modalities
from api.chat.request import parse_chat
from api.errors import ApiError
from testing.builders import make_chat, make_settings

USER = {"role": "user", "content": "Hi"}
CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def refused_param(messages: Any) -> str | None:
    with pytest.raises(ApiError) as caught:
        checked_messages(messages)
    assert caught.value.status == 400
    return caught.value.param


def call(**changes: Any) -> dict[str, Any]:
    return {"role": "assistant", "tool_calls": [CALL | changes]}


def user(*parts: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(parts)}


@pytest.mark.parametrize("messages", [None, {}, "Hi", [], 3])
def test_messages_must_be_a_list_of_some(messages: Any) -> None:
    assert refused_param(messages) == "messages"


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ("Hi", ""),
        ({"content": "Hi"}, ".role"),
        ({"role": 3, "content": "Hi"}, ".role"),
        ({"role": ["user"], "content": "Hi"}, ".role"),
        ({"role": "w" * 65, "content": "Hi"}, ".role"),
        ({"role": "user"}, ".content"),
        ({"role": "tool", "content": {}}, ".content"),
        ({"role": "assistant", "content": 3}, ".content"),
        (USER | {"name": 3}, ".name"),
        (USER | {"tool_call_id": []}, ".tool_call_id"),
        (USER | {"reasoning_content": {}}, ".reasoning_content"),
        (user("Hi"), ".content[0].type"),
        (user({"type": "text", "text": "a"}, {"type": "text"}), ".content[1].text"),
        (user({"type": "dance"}), ".content[0].type"),
        (user({"type": ["text"]}), ".content[0].type"),
        (user({"type": "image_url", "image_url": "data:,"}), ".content[0].image_url.url"),
        (call() | {"tool_calls": {"a": 1}}, ".tool_calls"),
        (call(type="other"), ".tool_calls[0].type"),
        (call(id=3), ".tool_calls[0].id"),
        (call(function={"arguments": "{}"}), ".tool_calls[0].function.name"),
        (call(function=None), ".tool_calls[0].function.name"),
        (call(function={"name": "f"}), ".tool_calls[0].function.arguments"),
        (call(function={"name": "f", "arguments": "{"}), ".tool_calls[0].function.arguments"),
        (
            call(function={"name": "f", "arguments": "[" * 10_000}),
            ".tool_calls[0].function.arguments",
        ),
    ],
)
def test_bad_message_is_named(message: Any, param: str) -> None:
    assert refused_param([USER, message]) == f"messages[1]{param}"


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest",
        "HTTPS://example.org/a.png",
        "file:///etc/passwd",
        " http://example.org",
        "\thttp://example.org",
        "/etc/passwd",
        "database:x",
    ],
)
@pytest.mark.parametrize("kind", ["image_url", "video_url", "audio_url"])
def test_remote_media_is_refused(kind: str, url: str) -> None:
    where = refused_param([user({"type": kind, kind: {"url": url}})])
    assert where == f"messages[0].content[0].{kind}.url"


def test_an_address_can_not_hide_beside_the_data() -> None:
    audio = {"data": "AAAA", "format": "wav", "url": "http://example.org"}
    where = refused_param([user({"type": "input_audio", "input_audio": audio})])
    assert where == "messages[0].content[0].input_audio.url"


@pytest.mark.parametrize(
    "message",
    [
        USER,
        {"role": "system", "content": ""},
        {"role": "developer", "content": "x"},
        {"role": "tool", "content": "x", "tool_call_id": "1"},
        {"role": "assistant", "content": None},
        {"role": "user", "content": None},
        {"role": "user", "content": []},
        {"role": "tool", "content": None, "tool_call_id": "1"},
        {"role": "tool", "content": "x"},
        {"role": "wizard", "content": "x"},
        {"role": "", "content": "x"},
        call(function={"name": "", "arguments": "{}"}),
        call(function={"name": "f", "arguments": None}),
        call(function={"name": "f", "arguments": [1]}),
        call(function={"name": "f", "arguments": 3}),
        {"role": "assistant", "content": "x", "reasoning_content": "y"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        call(function={"name": "f", "arguments": {"a": 1}}),
        user({"type": "text", "text": "x"}),
        user({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}),
        user({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}),
    ],
)
def test_good_message_passes_unchanged(message: dict[str, Any]) -> None:
    assert checked_messages([message]) == [message]


def test_empty_object_for_calls_means_none() -> None:
    said = {"role": "assistant", "content": "x"}
    assert checked_messages([said | {"tool_calls": {}}]) == [said]


@pytest.mark.parametrize("empty", ["", " \n"])
def test_empty_arguments_of_a_call_are_an_empty_object(empty: str) -> None:
    (said,) = checked_messages([call(function={"name": "f", "arguments": empty})])
    assert said["tool_calls"][0]["function"] == {"name": "f", "arguments": "{}"}


def test_parts_and_calls_are_bounded_in_sum() -> None:
    many = [user(*[{"type": "text", "text": "x"}] * (MAX_PIECES // 2)) for _ in range(2)]
    assert checked_messages(many) == many
    assert refused_param([*many, call()]) == "messages"


def test_null_fields_stay_behind_for_llama_server_refuses_them() -> None:
    said = {"role": "assistant", "content": "x"}
    nulls = dict.fromkeys(["name", "tool_call_id", "reasoning_content", "tool_calls", "refusal"])
    assert checked_messages([said | nulls, call(id=None)])[0] == said
    assert "id" not in checked_messages([call(id=None)])[0]["tool_calls"][0]


@pytest.mark.parametrize(
    ("last", "prefill"),
    [
        (USER, ""),
        ({"role": "assistant", "content": "Hel"}, "Hel"),
        ({"role": "assistant", "content": None}, ""),
        ({"role": "assistant", "content": "Hel", "tool_calls": [CALL]}, ""),
        ({"role": "assistant", "content": [{"type": "text", "text": t} for t in "ab"]}, "a\n\nb"),
    ],
)
def test_prefill_is_what_the_assistant_said_last(last: dict[str, Any], prefill: str) -> None:
    assert parse_chat(make_chat(messages=[USER, last]), make_settings()).prefill == prefill


@pytest.mark.parametrize(
    ("messages", "needed"),
    [
        ([USER, {"role": "assistant", "content": None}], set()),
        ([user({"type": "text", "text": "x"})], set()),
        ([user({"type": "image_url"}), user({"type": "input_audio"})], {"vision", "audio"}),
        ([user({"type": "audio_url"}, {"type": "input_video"})], {"audio", "video"}),
    ],
)
def test_media_need_what_llama_server_calls_modalities(
    messages: list[dict[str, Any]], needed: set[str]
) -> None:
    assert modalities(messages) == needed
    assert MODALITIES.keys() == MEDIA.keys()


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": {}}, "tools"),
        ({"tools": [3]}, "tools[0].type"),
        ({"tools": [{"type": "other"}]}, "tools[0].type"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "description": 3}}]},
            "tools[0].function.description",
        ),
        ({"tools": [CALL], "logprobs": True}, "logprobs"),
    ],
)
def test_bad_tool_is_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(ApiError) as caught:
        parse_chat(make_chat(**fields), make_settings())
    assert caught.value.param == param


def test_null_fields_of_tools_stay_behind() -> None:
    tool = {"type": "function", "function": {"name": "f", "description": None}, "x": None}
    request = parse_chat(make_chat(tools=[tool]), make_settings())
    sent = json.loads(request.upstream_body())["tools"]
    assert sent == [{"type": "function", "function": {"name": "f"}}]
