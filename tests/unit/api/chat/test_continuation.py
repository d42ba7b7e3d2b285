"""What is left of a job whose client has seen a part of its answer. Pure."""

import json
from dataclasses import replace
from typing import Any

import pytest

from api.chat.continuation import continuation
from api.chat.seen import Seen
from api.endpoint import CannotContinue
from dispatcher.job import Job, Want

ASKED = {"role": "user", "content": "Tell me something."}
PART = Seen(names={"id": "a"}, content="Zü", tokens=3)


def job(*messages: dict[str, Any], **fields: Any) -> Job:
    body = {"messages": messages or [ASKED], "stream": True} | fields
    wants = frozenset({Want.STREAM})
    text = json.dumps(body).encode()
    sizes = {"prompt_tokens": 10, "completion_tokens": 20}
    return Job("j", "tiny", "ann", text, wants, wait_s=9, deadline_s=9, **sizes)  # type: ignore[arg-type]


def rest(seen: Seen, *messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The body of what is left."""
    found = continuation(job(*messages, **fields), seen)
    assert found is not None
    body: dict[str, Any] = json.loads(found.body)
    return body


def test_text_so_far_is_the_last_message_which_is_continued() -> None:
    body = rest(PART, temperature=0)
    assert body["messages"] == [ASKED, {"role": "assistant", "content": "Zü"}]
    assert (body["continue_final_message"], body["add_generation_prompt"]) == (True, False)
    assert (body["temperature"], body["stream"]) == (0, True)
    assert not {"max_tokens", "n_predict", "max_completion_tokens"} & body.keys()


def test_what_is_left_is_estimated_and_needs_the_same_fingerprint() -> None:
    found = continuation(job(), PART)
    assert found
    assert (found.same_fingerprint, found.seen_tokens) == (True, 3)
    assert (found.prompt_tokens, found.completion_tokens) == (13, 17)
    long = continuation(job(), replace(PART, tokens=99))
    assert long
    assert (long.prompt_tokens, long.completion_tokens) == (109, 1)


def test_reasoning_goes_on_inside_the_reasoning() -> None:
    body = rest(Seen(reasoning="hm", tokens=2))
    assert body["messages"][-1] == {"role": "assistant", "content": "", "reasoning_content": "hm"}
    body = rest(Seen(reasoning="hm", content="Yes", tokens=9))
    said = {"role": "assistant", "content": "Yes", "reasoning_content": "hm"}
    assert body["messages"][-1] == said


@pytest.mark.parametrize(
    ("own", "whole"),
    [
        ({"content": "On"}, {"content": "OnZü"}),
        ({"content": [{"type": "text", "text": "On"}]}, {"content": "OnZü"}),
        ({"content": None}, {"content": "Zü"}),
        (
            {"content": "On", "reasoning_content": "hm"},
            {"content": "OnZü", "reasoning_content": "hm"},
        ),
    ],
)
def test_answer_that_the_client_began_itself(own: dict[str, Any], whole: dict[str, Any]) -> None:
    body = rest(PART, ASKED, {"role": "assistant", **own})
    assert body["messages"] == [ASKED, {"role": "assistant", **whole}]


@pytest.mark.parametrize("name", ["n_predict", "max_completion_tokens", "max_tokens"])
def test_as_many_tokens_may_come_as_are_left(name: str) -> None:
    assert rest(PART, **{name: 10})[name] == 7


def test_first_of_several_limits_counts() -> None:
    body = rest(PART, max_completion_tokens=10, max_tokens=2)
    assert body["max_completion_tokens"] == 7
    assert rest(PART, n_predict=-1, max_tokens=2)["n_predict"] == -1


@pytest.mark.parametrize(
    ("seen", "fields"),
    [
        (PART, {"max_tokens": 3}),
        (PART, {"max_tokens": 2}),
        (replace(PART, tokens=1), {"max_tokens": 0}),
        (replace(PART, finish_reason="stop"), {}),
        (Seen(has_calls=True, finish_reason="tool_calls"), {}),
        (replace(PART, tokens=9), {"max_tokens": 9, "grammar": "root ::= [a-z]"}),
    ],
)
def test_nothing_is_left(seen: Seen, fields: dict[str, Any]) -> None:
    assert continuation(job(**fields), seen) is None


@pytest.mark.parametrize("fields", [{}, {"grammar": "root ::= [a-z]"}, {"max_tokens": 5}])
def test_where_no_text_was_seen_it_begins_anew_on_any_worker(fields: dict[str, Any]) -> None:
    asked = job(**fields)
    found = continuation(asked, Seen(names={"id": "a"}))
    assert found
    assert (found.body, found.same_fingerprint, found.seen_tokens) == (asked.body, False, 0)


@pytest.mark.parametrize(
    ("seen", "fields", "why"),
    [
        (Seen(content="a", has_calls=True), {}, "calling a tool"),
        (PART, {"grammar": "root ::= [a-z]"}, "`grammar`"),
        (PART, {"reasoning_format": "none"}, "reasoning"),
        (PART, {"reasoning_format": "deepseek-legacy"}, "reasoning"),
        (replace(PART, is_strange=True), {}, "not as llama-server"),
        (Seen(content="<think>\nhm", tokens=4), {}, "reasoning"),
    ],
)
def test_what_can_t_go_on(seen: Seen, fields: dict[str, Any], why: str) -> None:
    with pytest.raises(CannotContinue, match=why):
        continuation(job(**fields), seen)
