"""What /completion and /infill take, and what llama-server gets of it."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from api.errors import ApiError
from api.native.completion import parse_native_completion
from api.native.infill import parse_infill
from api.native.request import NativeRequest
from dispatcher.job import Want
from dispatcher.needs import ANYBODY, INFILL
from testing.builders import make_settings

SETTINGS = make_settings(max_choices=8)
GAP = {"input_prefix": "a", "input_suffix": "b"}
# What a request may say that reaches into a server, its slots and its cache.
LEFT_BEHIND = {
    **{"id_slot": 3, "cache_prompt": False, "lora": [{"id": 0, "scale": 1}], "n_cache_reuse": 9},
    **{"n_discard": 5, "t_max_prompt_ms": 500, "grammar_lazy": True, "unknown": {"x": 1}},
}


def completion(**fields: Any) -> NativeRequest:
    return parse_native_completion(json.dumps({"prompt": "Once", **fields}).encode(), SETTINGS)


def infill(**fields: Any) -> NativeRequest:
    return parse_infill(json.dumps({**GAP, **fields}).encode(), SETTINGS)


def sent(request: NativeRequest, choice: int = 0) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(request.upstream_body(choice))
    return body


def test_llama_server_is_always_asked_for_a_stream_that_tells_all() -> None:
    request = completion(n_predict=5, stream=False, return_tokens=True, response_fields=["content"])
    told = {"stream": True, "return_progress": True, "timings_per_token": True}
    assert told.items() <= sent(request).items()
    assert "response_fields" not in sent(request)
    assert (request.stream, request.return_tokens) == (False, True)


@pytest.mark.parametrize("read", [completion, infill])
def test_what_reaches_into_a_server_stays_behind(read: Callable[..., NativeRequest]) -> None:
    assert sent(read(**LEFT_BEHIND)) == sent(read())


@pytest.mark.parametrize("read", [completion, infill])
def test_what_the_server_honours_reaches_it(read: Callable[..., NativeRequest]) -> None:
    fields = {
        **{"n_predict": 5, "n_keep": 3, "t_max_predict_ms": 900, "n_indent": 4, "n_probs": 2},
        **{"samplers": ["top_k", "infill"], "stop": [], "seed": 7, "grammar": 'root ::= "a"'},
    }
    assert fields.items() <= sent(read(**fields)).items()


@pytest.mark.parametrize(
    ("prompt", "prompts"),
    [
        ("a", ["a"]),
        ("", [""]),
        ([1, 2], [[1, 2]]),
        ([1, "a"], [[1, "a"]]),
        (["a", 1], [["a", 1]]),
        (["a"], ["a"]),
        (["a", "b"], ["a", "b"]),
        ([[1, 2], [], [3, "b"], {"prompt_string": "c"}], [[1, 2], "", [3, "b"], "c"]),
        ({"prompt_string": "c", "multimodal_data": []}, ["c"]),
        ([[]], [""]),
    ],
)
def test_prompts_are_told_apart_as_the_server_does(prompt: Any, prompts: list[Any]) -> None:
    request = completion(prompt=prompt)
    assert [sent(request, i)["prompt"] for i in range(request.choices)] == prompts
    assert len(request.work("me", 0).bodies) == len(prompts)


@pytest.mark.parametrize(
    "prompt",
    [
        *([], 5, True, None, 1.5, [1.5], [True], [-1], [2**31], [["a"]], [["a", "b"]], [None], {}),
        *({"prompt_string": 5}, [1, {"prompt_string": "a"}], [[[1]]]),
        {"prompt_string": "a", "multimodal_data": ["http://10.0.0.1/x.png"]},
        {"prompt_string": "a", "multimodal_data": ["aGk="]},
    ],
    ids=str,
)
def test_what_is_no_prompt_is_refused(prompt: Any) -> None:
    with pytest.raises(ApiError) as refused:
        completion(prompt=prompt)
    assert refused.value.status == 400
    assert (refused.value.param or "").startswith("prompt")


def test_each_prompt_gets_its_answers_with_seeds_of_their_own() -> None:
    request = completion(prompt=["a", "b"], n=2, seed=7)
    bodies = [sent(request, choice) for choice in range(request.choices)]
    said = [(body["prompt"], body["seed"]) for body in bodies]
    assert said == [("a", 7), ("a", 8), ("b", 7), ("b", 8)]
    assert "n" not in bodies[0]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 9}, "n"),
        ({"n_cmpl": 0}, "n_cmpl"),
        ({"prompt": ["a"] * 9}, "prompt"),
        ({"n_predict": -2}, "n_predict"),
        ({"n_probs": 21}, "n_probs"),
        ({"logprobs": 21}, "logprobs"),
        ({"model": 5}, "model"),
        ({"model": "m" * 257}, "model"),
        ({"response_fields": "content"}, "response_fields"),
        ({"response_fields": [1]}, "response_fields"),
        ({"t_max_predict_ms": "soon"}, "t_max_predict_ms"),
        ({"n_keep": -2}, "n_keep"),
        ({"samplers": ["top_k", "top-k"]}, "samplers"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_bad_field_is_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(ApiError) as refused:
        completion(**fields)
    assert (refused.value.status, refused.value.param) == (400, param)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input_prefix": 5}, "input_prefix"),
        ({"input_prefix": None}, "input_prefix"),
        ({"input_suffix": ["a"]}, "input_suffix"),
        ({"prompt": ["a"]}, "prompt"),
        ({"input_extra": {}}, "input_extra"),
        ({"input_extra": [{"text": ""}] * 1025}, "input_extra"),
        ({"input_extra": [5]}, "input_extra[0]"),
        ({"input_extra": [{"text": "a"}, {"filename": "f"}]}, "input_extra[1].text"),
        ({"input_extra": [{"text": "a", "filename": 5}]}, "input_extra[0].filename"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_bad_gap_is_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(ApiError) as refused:
        infill(**fields)
    assert (refused.value.status, refused.value.param) == (400, param)


def test_gap_is_sent_without_what_only_the_editor_knows() -> None:
    request = infill(input_extra=[{"text": "x", "filename": "f", "time": [1, 2]}, {"text": "y"}])
    body = sent(request)
    assert body["input_extra"] == [{"filename": "f", "text": "x"}, {"text": "y"}]
    assert (body["input_prefix"], body["input_suffix"], body["prompt"]) == ("a", "b", "")


def test_gap_needs_a_worker_that_can_fill_it() -> None:
    assert infill().work("me", 0).needs.abilities == {INFILL}
    assert completion().work("me", 0).needs == ANYBODY


def test_requests_of_one_editor_go_where_the_caches_are() -> None:
    assert infill().work("me", 0).prefixes == infill(prompt="b").work("me", 0).prefixes
    assert infill().work("me", 0).prefixes != infill().work("you", 0).prefixes
    assert infill(prompt_cache_key="k").work("me", 0).prefixes != infill().work("me", 0).prefixes
    assert infill().work("me", 0, "u1").prefixes != infill().work("me", 0, "u2").prefixes


def test_names_of_a_prompt_are_its_tenant_s_and_end_user_s_own() -> None:
    """M5, of llama.cpp's own form: see tests/unit/api/chat/test_prefix.py."""
    long = completion(prompt="a" * 900)
    owners = [("me", ""), ("you", ""), ("you", "u1")]
    named = [long.work(subject, 0, user).prefixes for subject, user in owners]
    assert len(set().union(*named)) == len(named[0]) * 3 > 0


def test_model_that_is_not_named_is_filled_in() -> None:
    request = infill()
    assert request.model == ""
    assert sent(request.of_model("tiny", 0))["model"] == "tiny"


def test_field_that_looks_back_is_bounded_by_the_context() -> None:
    with pytest.raises(ApiError, match="context"):
        completion(repeat_last_n=2000).of_model("tiny", 1000)


def test_client_sees_of_a_stream_what_it_asks_for() -> None:
    assert completion().work("me", 0).wants.isdisjoint({Want.STREAM, Want.TIMINGS})
    asked = completion(stream=True, return_progress=True, timings_per_token=True)
    assert asked.work("me", 0).wants >= {Want.STREAM, Want.TIMINGS, Want.PROGRESS}
    assert completion(stream=True).work("me", 0).wants == {Want.STREAM}


def test_estimates_follow_the_text_and_the_limit() -> None:
    work = completion(prompt="a" * 400, n_predict=9).work("me", 300)
    assert (work.prompt_tokens, work.completion_tokens) == (100, 9)
    assert infill(input_prefix="a" * 400).work("me", 300).prompt_tokens > 100
    assert completion(prompt=[1] * 50).work("me", 300).prompt_tokens == 50
