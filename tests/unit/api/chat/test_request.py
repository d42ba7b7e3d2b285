import json
from typing import Any

import pytest

from api.chat.request import ChatRequest, parse_chat
from api.errors import ApiError
from testing.builders import make_chat, make_settings

SETTINGS = make_settings(max_choices=8)
# What reaches into a server, its slots and its cache; what it tells itself between two of its
# parts; what is the API's own; and what a server can do nothing with.
STAY_BEHIND = [
    *("backend_sampling", "cache_prompt", "id_slot", "lora", "n", "n_cache_reuse", "n_cmpl"),
    *("n_discard", "n_keep", "reasoning_control", "response_fields", "sse_ping_interval"),
    *("t_max_predict_ms", "verbose", "speculative.n_max", "return_tokens"),
    *("chat_format", "chat_parser", "generation_prompt", "grammar_lazy", "grammar_triggers"),
    *("grammar_type", "message_delimiters", "parse_tool_calls", "preserved_tokens", "prompt"),
    *("reasoning_budget_end_tags", "reasoning_budget_start_tag", "input_extra"),
    *("metadata", "prompt_cache_key", "safety_identifier", "service_tier", "store", "user"),
    "unknown",
]


def parsed(**fields: Any) -> ChatRequest:
    return parse_chat(make_chat(**fields), SETTINGS)


def upstream(choice: int = 0, **fields: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(parsed(**fields).upstream_body(choice))
    return body


def refused_param(**fields: Any) -> str | None:
    with pytest.raises(ApiError) as caught:
        parsed(**fields)
    assert caught.value.status == 400
    return caught.value.param


def test_plain_request() -> None:
    request = parsed()
    assert (request.model, request.stream, request.choices) == ("tiny", False, 1)
    assert (request.include_usage, request.return_progress) == (False, False)
    assert (request.timings_per_token, request.max_tokens, request.prefill) == (False, None, "")
    assert request.cache_key is None


def test_what_the_client_asked_for_is_remembered() -> None:
    request = parsed(
        stream=True,
        n=3,
        stream_options={"include_usage": True},
        return_progress=True,
        timings_per_token=True,
    )
    assert (request.stream, request.choices, request.include_usage) == (True, 3, True)
    assert (request.return_progress, request.timings_per_token) == (True, True)


@pytest.mark.parametrize(
    ("fields", "limit"),
    [
        ({"max_tokens": 5}, 5),
        ({"max_tokens": 5, "max_completion_tokens": 4}, 4),
        ({"max_tokens": 5, "max_completion_tokens": 4, "n_predict": 3}, 3),
        ({"max_tokens": None, "n_predict": -1}, None),
    ],
)
def test_output_limit_is_the_one_that_llama_server_takes(
    fields: dict[str, Any], limit: int | None
) -> None:
    assert parsed(**fields).max_tokens == limit


@pytest.mark.parametrize(
    ("param", "value"),
    [
        ("model", 3),
        ("model", "m" * 257),
        ("n", 0),
        ("n", 9),
        ("n", "2"),
        ("n", True),
        ("n", 1.5),
        ("n_cmpl", 9),
        ("stream", "yes"),
        ("stream", 1),
        ("stream_options", 3),
        ("max_tokens", -2),
        ("max_tokens", "5"),
        ("max_tokens", 2**31),
        ("max_completion_tokens", 1.5),
        ("n_predict", True),
        ("temperature", "hot"),
        ("temperature", True),
        ("top_p", []),
        ("seed", 1.5),
        ("logprobs", 1),
        ("top_logprobs", 21),
        ("n_probs", 1000),
        ("stop", 3),
        ("stop", ["a", 3]),
        ("response_format", "json"),
        ("tool_choice", 3),
        ("return_progress", "x"),
        ("prompt_cache_key", 3),
    ],
)
def test_bad_field_is_named(param: str, value: Any) -> None:
    assert refused_param(**{param: value}) == param


@pytest.mark.parametrize("schema", [{}, {"type": "boolean"}])
def test_grammar_and_schema_exclude_each_other(schema: dict[str, Any]) -> None:
    with pytest.raises(ApiError) as refused:
        parse_chat(make_chat(grammar='root ::= "a"', json_schema=schema), make_settings())
    assert (refused.value.status, refused.value.param) == (400, "grammar")
    assert parse_chat(make_chat(grammar="", json_schema=schema), make_settings()).choices == 1


def test_include_usage_must_be_a_bool() -> None:
    param = refused_param(stream=True, stream_options={"include_usage": "x"})
    assert param == "stream_options.include_usage"


def test_null_means_default_and_stays_behind() -> None:
    nulls = ["n", "stream", "stream_options", "max_tokens", "temperature", "tools", "stop"]
    body = upstream(**dict.fromkeys([*nulls, "reasoning_format", "logit_bias"]))
    assert set(body) == set(upstream())


def test_upstream_is_always_asked_for_a_stream_with_usage_and_progress() -> None:
    body = upstream(stream=False)
    assert body["stream"] is body["return_progress"] is body["timings_per_token"] is True
    assert body["stream_options"] == {"include_usage": True}


def test_whole_answer_repeats_what_the_server_has_parsed() -> None:
    said = [{"role": "user", "content": "Hi"}, {"role": "assistant", "reasoning_content": "so"}]
    assert upstream(messages=said, echo=False)["echo"] is True
    assert "echo" not in upstream(messages=said, stream=True)
    assert "echo" not in upstream(messages=said[:1])


def test_other_stream_options_stay_behind() -> None:
    options = {"include_usage": False, "other": 1}
    assert upstream(stream=True, stream_options=options)["stream_options"] == {
        "include_usage": True
    }


@pytest.mark.parametrize("name", STAY_BEHIND)
def test_what_is_not_in_the_table_stays_behind(name: str) -> None:
    value = "k" if name == "prompt_cache_key" else 1
    assert set(upstream(**{name: value})) == set(upstream())


def test_the_rest_passes_unchanged() -> None:
    rest = {
        "messages": [{"role": "user", "content": '日本 \U0001f389 " \\ \n'}],
        "seed": 2**64 - 1,
        "temperature": 0.1,
        "top_p": 1,
        "grammar": 'root ::= "é"',
        "chat_template_kwargs": {"enable_thinking": None, "big": 12345678901234567890},
    }
    body = upstream(**rest)
    assert {name: body[name] for name in rest} == rest


def test_whole_numbers_may_be_written_as_floats() -> None:
    sent = upstream(max_tokens=5.0, seed=7.0, top_k=40.0)
    assert (sent["max_tokens"], sent["seed"], sent["top_k"]) == (5, 7, 40)
    assert parsed(n=2.0).choices == 2


def test_text_is_sent_as_utf_8_not_as_escapes() -> None:
    messages = [{"role": "user", "content": "日本"}]
    assert "日本".encode() in parsed(messages=messages).upstream_body()


@pytest.mark.parametrize(
    ("seed", "expected"),
    [(7, [7, 8, 9]), (2**32 - 2, [2**32 - 2, 2**32 - 1, 0]), (-1, [-1] * 3), (None, [None] * 3)],
)
def test_choices_get_the_seeds_that_llama_server_would_give(
    seed: int | None, expected: list[int | None]
) -> None:
    assert [upstream(i, n=3, seed=seed).get("seed") for i in range(3)] == expected


def test_prompts_are_not_printed() -> None:
    assert "secret" not in repr(parsed(messages=[{"role": "assistant", "content": "secret"}]))
