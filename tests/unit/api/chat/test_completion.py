import json
import re
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.chat import completion as completion_module
from api.chat.completion import Completion, merge
from api.errors import ApiError
from api.usage import merge_usage
from dispatcher.errors import WorkerFailed

HEAD = {
    **{"created": 1, "id": "chatcmpl-a", "model": "tiny", "system_fingerprint": "b1"},
    "object": "chat.completion.chunk",
}
USAGE = {"completion_tokens": 3, "prompt_tokens": 20, "total_tokens": 23}
DONE = b"data: [DONE]\n\n"


def event(chunk: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n"


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    choice = {"finish_reason": finish, "index": 0, "delta": delta, **more}
    return event({"choices": [choice], **HEAD})


def stream(*deltas: dict[str, Any], finish: str = "stop", usage: Any = USAGE) -> bytes:
    first = chunk({"role": "assistant", "content": None})
    last = event({"choices": [], **HEAD, "usage": usage, "timings": {"cache_n": 1}})
    return b"".join([first, *map(chunk, deltas), chunk({}, finish), last, DONE])


def completed(*deltas: dict[str, Any], **more: Any) -> Completion:
    completion = Completion()
    completion.add(stream(*deltas, **more))
    return completion


def call(index: int, **function: str) -> dict[str, Any]:
    return {"index": index, "function": function}


def test_answer_has_llama_servers_fields_in_its_order() -> None:
    answer = merge([completed({"content": "日"}, {"content": "本"})])
    message = {"role": "assistant", "content": "日本"}
    expected = {
        "choices": [{"finish_reason": "stop", "index": 0, "message": message}],
        "created": 1,
        "model": "tiny",
        "system_fingerprint": "b1",
        "object": "chat.completion",
        "usage": USAGE,
        "id": "chatcmpl-a",
        "timings": {"cache_n": 1},
    }
    assert json.dumps(answer) == json.dumps(expected)


@given(st.lists(st.integers(0, 900)))
def test_bytes_may_be_split_anywhere(cuts: list[int]) -> None:
    events = stream({"content": "日"}, {"content": "本\n\n"})
    completion, start = Completion(), 0
    for cut in [*sorted(cuts), len(events)]:
        completion.add(events[start:cut])
        start = cut
    assert merge([completion]) == merge([completed({"content": "日"}, {"content": "本\n\n"})])


NO_TEXT = re.compile(b"(?!)")


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ['"', "\\", '\\"', '"}}],"', "\n\n", "😀 日", "\x00\x1f\x7f\u2028", "\\ud83d", "<>/"]
)
TIMES = st.sampled_from([{}, {"created": 2}, {"timings": {"cache_n": 1}}, {"usage": USAGE}])
DELTAS = (
    st.builds(lambda text: {"content": text}, TEXTS | st.none())
    | st.builds(lambda text: {"reasoning_content": text}, TEXTS)
    | st.builds(lambda a, b: {"content": a, "reasoning_content": b}, TEXTS, TEXTS)
    | st.builds(lambda text: {"tool_calls": [call(0, name="f", arguments=text)]}, TEXTS)
    | st.sampled_from([{}, {"role": "assistant", "content": None}])
)
EXTRAS = st.sampled_from([{}, {}, {"logprobs": {"content": [{"token": "a"}]}}])


@st.composite
def chunks(draw: st.DrawFn) -> bytes:
    """One event as llama-server spells it, or with blanks, or with escapes."""
    finish = draw(st.sampled_from([None, None, None, "length"]))
    choice = {"finish_reason": finish, "index": 0, "delta": draw(DELTAS), **draw(EXTRAS)}
    separators = draw(st.sampled_from([(",", ":"), (",", ":"), (", ", ": ")]))
    value = {"choices": [choice], **HEAD, **draw(TIMES)}
    text = json.dumps(value, ensure_ascii=draw(st.booleans()), separators=separators)
    return draw(st.sampled_from([b"", b"", b": alive\n"])) + b"data: " + text.encode() + b"\n\n"


@given(st.lists(chunks(), max_size=12), st.booleans())
def test_answer_is_that_of_a_parser_of_each_chunk(events: list[bytes], in_one: bool) -> None:
    fast, slow = Completion(), Completion()
    for events_ in [b"".join(events)] if in_one else events:
        fast.add(events_)
    with patch.object(completion_module, "TEXT", NO_TEXT):
        for each in events:
            slow.add(each)
    for completion in (fast, slow):
        completion.add(chunk({}, "stop"))
    assert merge([fast]) == merge([slow])


@pytest.mark.parametrize(
    ("names", "number"),
    [
        (HEAD, 1),
        ({"created": 1, "id": "a"}, 3),  # the first two as well
        ({**HEAD, "usage": USAGE}, 3),
    ],
)
def test_text_is_read_without_a_parser(
    monkeypatch: pytest.MonkeyPatch, names: dict[str, Any], number: int
) -> None:
    """Chunks that hold only text or the role, and names, say nothing that is needed."""
    parsed: list[Any] = []
    add = Completion._add_chunk
    monkeypatch.setattr(Completion, "_add_chunk", lambda s, c: (parsed.append(c), add(s, c)))
    deltas = [{"role": "assistant", "content": None}, *[{"content": 'a "b"\n日'}] * 3, {}]
    choices = [{"finish_reason": None, "index": 0, "delta": delta} for delta in deltas]
    choices[-1]["finish_reason"] = "stop"
    values = [{"choices": [choice], **names} for choice in choices]
    texts = [json.dumps(v, ensure_ascii=False, separators=(",", ":")) for v in values]
    completion = Completion()
    completion.add(b"".join(b"data: " + text.encode() + b"\n\n" for text in texts))
    assert len(parsed) == number
    assert merge([completion])["choices"][0]["message"]["content"] == 'a "b"\n日' * 3


def test_reasoning_comes_before_tool_calls_as_llama_server_has_it() -> None:
    message = completed(
        {"reasoning_content": "Let me "},
        {"reasoning_content": "think."},
        {"tool_calls": [call(0, name="f", arguments="{") | {"id": "x", "type": "function"}]},
        {"tool_calls": [call(0, arguments='"a":')]},
        {"tool_calls": [call(1, name="g", arguments="")]},
        {"tool_calls": [call(0, arguments="1}"), call(1, arguments="{}")]},
        finish="tool_calls",
    ).choice()["message"]
    expected = {
        "role": "assistant",
        "content": "",
        "reasoning_content": "Let me think.",
        "tool_calls": [
            {"type": "function", "function": {"name": "f", "arguments": '{"a":1}'}, "id": "x"},
            {"type": "function", "function": {"name": "g", "arguments": "{}"}},
        ],
    }
    assert json.dumps(message) == json.dumps(expected)


def test_logprobs_are_joined() -> None:
    completion = Completion()
    for token in "ab":
        completion.add(chunk({"content": token}, logprobs={"content": [{"token": token}]}))
    completion.add(stream())
    assert completion.choice()["logprobs"] == {"content": [{"token": "a"}, {"token": "b"}]}


def test_call_without_a_name_is_a_workers_failure() -> None:
    nameless = completed({"tool_calls": [call(0, arguments="{}")]}, finish="tool_calls")
    with pytest.raises(WorkerFailed, match="without a name"):
        nameless.choice()


@pytest.mark.parametrize("events", [b"", chunk({"content": "x"}), DONE])
def test_an_answer_cut_short_is_a_workers_failure(events: bytes) -> None:
    completion = Completion()
    completion.add(events)
    with pytest.raises(WorkerFailed):
        merge([completion])


def test_comments_and_progress_add_nothing() -> None:
    completion = Completion()
    completion.add(b":\n\n" + chunk({"role": "assistant", "content": None}, prompt_progress={}))
    completion.add(stream({"content": "x"}).replace(b"data: ", b": alive\ndata: "))
    assert completion.choice()["message"] == {"role": "assistant", "content": "x"}


@pytest.mark.parametrize("error", [{"code": 500, "message": "no memory"}, "no memory"])
def test_error_event_is_raised(error: Any) -> None:
    with pytest.raises(ApiError, match="no memory"):
        Completion().add(event({"error": error}))


def test_choices_are_merged_in_order_and_the_prompt_counts_once() -> None:
    choices = [completed({"content": text}) for text in "abc"]
    answer = merge(choices)
    assert [c["message"]["content"] for c in answer["choices"]] == ["a", "b", "c"]
    assert [c["index"] for c in answer["choices"]] == [0, 1, 2]
    assert answer["usage"] == {"completion_tokens": 9, "prompt_tokens": 20, "total_tokens": 29}


def test_usage_unknown_is_left_out() -> None:
    assert merge_usage([None, None]) is None
