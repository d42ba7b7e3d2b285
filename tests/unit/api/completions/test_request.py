"""What a request for text completions asks for, and what is refused. Pure."""

import json
from typing import Any

import pytest

from api.completions.fields import FORWARDED
from api.completions.request import CompletionRequest, parse_completion
from api.errors import ApiError
from api.prompts import MAX_PARTS, MAX_TEXTS
from dispatcher.constants import KEYED
from dispatcher.job import Want
from testing.builders import make_settings

SETTINGS = make_settings(max_choices=6)


def parse(prompt: Any = "Once", **fields: Any) -> CompletionRequest:
    body = {"model": "tiny", "prompt": prompt, **fields}
    return parse_completion(json.dumps(body).encode(), SETTINGS)


def bodies(*prompt: Any, **fields: Any) -> list[dict[str, Any]]:
    return [json.loads(body) for body in parse(*prompt, **fields).work("ann", 0).bodies]


@pytest.mark.parametrize(
    ("prompt", "prompts"),
    [
        ("", [""]),
        ("Once", ["Once"]),
        (["a", "b"], ["a", "b"]),
        ([1, 2], [[1, 2]]),
        (["a", 2], [["a", 2]]),
        ([[1, 2], "a", ["b", 3], []], [[1, 2], "a", ["b", 3], ""]),
        ({"prompt_string": "a"}, ["a"]),
        ([{"prompt_string": "a", "multimodal_data": []}, [5]], ["a", [5]]),
    ],
)
def test_each_prompt_is_a_body_of_its_own(prompt: Any, prompts: list[Any]) -> None:
    assert [body["prompt"] for body in bodies(prompt)] == prompts


def test_choices_go_prompt_by_prompt_with_the_server_s_seeds() -> None:
    found = [(body["prompt"], body["seed"]) for body in bodies(["a", "b"], n=2, seed=5)]
    assert found == [("a", 5), ("a", 6), ("b", 5), ("b", 6)]
    assert [body["seed"] for body in bodies(n=2, seed=-1)] == [-1, -1]
    assert parse(["a", "b"], n_cmpl=3).choices == 6


def test_server_is_asked_for_a_stream_with_all_counts_and_for_what_it_knows() -> None:
    (body,) = bodies(logprobs=2, temperature=0.5, n=1, echo=False, user="eve", id_slot=3, unknown=1)
    assert body == {
        **{"model": "tiny", "prompt": "Once", "logprobs": 2, "temperature": 0.5, "stream": True},
        **{"stream_options": {"include_usage": True}},
        **{"return_progress": True, "timings_per_token": True},
    }
    assert parse(user="eve").fields["user"] == "eve"


@pytest.mark.parametrize(
    ("fields", "wants"),
    [
        ({}, {Want.USAGE}),
        ({"return_progress": True}, {Want.USAGE}),
        ({"stream": True}, {Want.STREAM, Want.USAGE}),
        (
            {"stream": True, "return_progress": True, "timings_per_token": True},
            {Want.STREAM, Want.USAGE, Want.PROGRESS, Want.TIMINGS},
        ),
    ],
)
def test_usage_is_always_wanted(fields: dict[str, Any], wants: set[Want]) -> None:
    assert parse(**fields).work("ann", 0).wants == wants


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": None}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": 5}, "prompt"),
        ({"prompt": [1.5]}, "prompt[0]"),
        ({"prompt": [True]}, "prompt[0]"),
        ({"prompt": [1, True]}, "prompt"),
        ({"prompt": [1, [2]]}, "prompt"),
        ({"prompt": ["a", None]}, "prompt[1]"),
        ({"prompt": ["a", ["b", "c"]]}, "prompt[1]"),
        ({"prompt": [-1]}, "prompt"),
        ({"prompt": [[2**31]]}, "prompt[0]"),
        ({"prompt": [1] * (MAX_PARTS + 1)}, "prompt"),
        ({"prompt": [1, *["a"] * (MAX_TEXTS + 1)]}, "prompt"),
        ({"prompt": {"text": "a"}}, "prompt"),
        ({"prompt": {"prompt_string": "a", "multimodal_data": ["x"]}}, "prompt.multimodal_data"),
        ({"prompt": ["a"] * 7}, "prompt"),
        ({"prompt": ["a"] * 4, "n": 2}, "prompt"),
        ({"n": 7}, "n"),
        ({"n": 0}, "n"),
        ({"model": 3}, "model"),
        ({"logprobs": 21}, "logprobs"),
        ({"logprobs": "2"}, "logprobs"),
        ({"echo": True}, "echo"),
        ({"echo": 1}, "echo"),
        ({"suffix": "a"}, "suffix"),
        ({"best_of": 2}, "best_of"),
        ({"best_of": 3, "n": 2}, "best_of"),
        ({"max_tokens": -2}, "max_tokens"),
        ({"stream_options": 3}, "stream_options"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_bad_request_is_told_what_is_wrong(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(ApiError) as refused:
        parse(**fields)
    assert (refused.value.status, refused.value.param) == (400, param)
    assert f"`{param}`" in refused.value.message


@pytest.mark.parametrize(
    "fields", [{"best_of": 1}, {"best_of": 2, "n": 2}, {"suffix": ""}, {"echo": False}]
)
def test_what_changes_nothing_is_taken_and_left_out(fields: dict[str, Any]) -> None:
    assert not bodies(**fields)[0].keys() & {"best_of", "suffix", "echo"}


def test_logprobs_may_be_a_flag_as_for_the_server() -> None:
    assert [bodies(logprobs=value)[0]["logprobs"] for value in (True, False, 3)] == [1, 0, 3]


def test_fields_that_look_back_are_bounded_by_the_context() -> None:
    asked = parse(repeat_last_n=4096)
    assert asked.of_model("own", 4096).work("ann", 0).model == "own"
    with pytest.raises(ApiError, match="`repeat_last_n`"):
        asked.of_model("own", 2048)


def test_tokens_are_estimated_by_bytes_and_by_count() -> None:
    def tokens(prompt: Any, **fields: Any) -> tuple[int, int]:
        work = parse(prompt, **fields).work("ann", 30.4)
        return work.prompt_tokens, work.completion_tokens

    assert tokens("", max_tokens=7) == (1, 7)
    assert tokens("é" * 40) == (20, 30)
    assert tokens([1] * 9 + ["abcd"]) == (10, 30)
    assert tokens(["a" * 40, [1] * 30]) == (20, 30)  # the mean


def names(prompt: Any, **fields: Any) -> tuple[str, ...]:
    return parse(prompt, **fields).work("ann", 0).prefixes


TALE = "".join(f"{number} times " for number in range(9000))


def test_longer_prompt_knows_the_name_by_which_a_shorter_one_is_remembered() -> None:
    for size in (300, 1000, 5000, 40_000):
        assert names(TALE[:size])[0] in names(TALE[: size + size // 2])
        assert names(TALE[:size])[0] in names(TALE[: 30 * size])
        assert names(TALE[:size])[0] not in names("!" + TALE)
    tokens = [ord(letter) for letter in TALE]
    assert names(tokens[:1000])[0] in names(tokens[:5000])
    assert names(tokens[:1000])[0] in names([*tokens[:1000], "more"])


def test_names_are_few_and_short_prompts_have_none() -> None:
    assert names("Once upon a time") == ()
    assert len(names(TALE)) == len(set(names(TALE))) == 24


def test_several_prompts_have_the_names_that_they_share() -> None:
    assert names([TALE[:1000] + "a" * 9000, TALE[:1000] + "b" * 9000]) == names(TALE[:1000])
    assert names([TALE, "else"]) == ()
    assert names(TALE, n=2) == names(TALE)


def test_tenants_and_end_users_have_no_name_in_common() -> None:
    """M5, of text completions: see tests/unit/api/chat/test_prefix.py."""
    owners = [("ann", ""), ("bob", ""), ("bob", "u1"), ("bob", "u2")]
    asked = parse(TALE)
    named = [asked.work(subject, 0, user).prefixes for subject, user in owners]
    assert len(set().union(*named)) == 24 * len(owners)


def test_cache_key_is_a_name_too() -> None:
    *rest, key = names(TALE, prompt_cache_key="k")
    assert key.startswith(KEYED)
    assert rest == list(names(TALE)[:23])


def test_server_gets_no_field_that_reaches_into_it() -> None:
    assert not FORWARDED.keys() & {"id_slot", "cache_prompt", "lora", "response_fields", "n_keep"}
