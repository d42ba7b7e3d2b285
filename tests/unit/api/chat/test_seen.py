"""What a client has seen of a choice is remembered, however long it is. Pure."""

import json
from typing import Any

import pytest

from api.chat.seen import Memory


def event(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    choice = {"finish_reason": finish, "index": 0, "delta": delta}
    chunk = {"choices": [choice], "created": 7, "id": "a", "model": "tiny"} | more
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def test_text_is_what_all_the_events_said() -> None:
    memory = Memory()
    memory.add(event({"role": "assistant", "content": None}), 0)
    memory.add(event({"reasoning_content": "hm"}), 2)
    memory.add(event({"content": "Zü"}) + event({"content": "rich"}), 9)
    seen = memory.seen
    assert (seen.reasoning, seen.content, seen.tokens) == ("hm", "Zürich", 9)
    assert (seen.has_calls, seen.finish_reason) == (False, None)
    assert seen.names == {"created": 7, "id": "a", "model": "tiny"}


def test_chunks_as_the_server_writes_them_are_read_alike() -> None:
    """All but a few are read without a JSON parser."""
    memory, texts = Memory(), ["Zü", 'a "b" \\ ', "\n}}],", "日本😀", "", '","x":"']
    memory.add(event({"role": "assistant", "content": None}), 0)
    for number, text in enumerate(texts):
        delta = json.dumps(text, ensure_ascii=bool(number % 2))
        chunk = '{"choices":[{"finish_reason":null,"index":0,"delta":{"content":' + delta
        memory.add(f'data: {chunk}}}}}],"created":7,"id":"b"}}\n\n'.encode(), number + 1)
    assert memory.seen.content == "".join(texts)
    assert (memory.seen.tokens, memory.seen.names["id"]) == (6, "a")


def test_text_is_remembered_without_a_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    memory, parsed = Memory(), []
    text = (
        b'data: {"choices":[{"finish_reason":null,"index":0,"delta":{"content":"a"}}],"id":"b"}\n\n'
    )
    memory.add(text, 1)
    assert memory.seen.content == "a"
    monkeypatch.setattr(
        "api.chat.seen._Reader._parse", lambda self, data, tokens: parsed.append(data)
    )
    memory.add(text, 2)
    memory.add(text + text.replace(b"content", b"reasoning_content"), 4)
    assert (memory.seen.content, memory.seen.reasoning, memory.seen.tokens) == ("aaa", "a", 4)
    assert not parsed


def test_tokens_are_those_that_the_text_stands_for() -> None:
    memory = Memory()
    memory.add(event({"content": "a"}), 1)
    memory.add(event({}), 3)  # held back
    assert memory.seen.tokens == 1
    memory.add(event({}, "stop"), 4)
    assert (memory.seen.tokens, memory.seen.finish_reason) == (4, "stop")


def test_tool_call_is_noticed() -> None:
    memory = Memory()
    memory.add(event({"tool_calls": [{"index": 0, "function": {"name": "f"}}]}), 5)
    assert memory.seen.has_calls


def test_comments_usage_and_progress_are_no_text() -> None:
    memory = Memory()
    memory.add(b": alive\n\n: alive\ndata: [DONE]\n\n", 0)
    memory.add(event({"role": "assistant", "content": None}, prompt_progress={"total": 3}), 0)
    memory.add(b'data: {"choices":[],"usage":{"prompt_tokens":3}}\n\n', 4)
    assert (memory.seen.content, memory.seen.tokens) == ("", 0)


def test_comment_directly_before_an_event_hides_nothing_of_it() -> None:
    memory = Memory()
    for text in ("a", "b"):
        memory.add(b": alive\n" + event({"content": text}), 1)
    assert (memory.seen.content, memory.seen.is_strange) == ("ab", False)


def test_long_answer_stays_small() -> None:
    memory = Memory()
    for number in range(5000):
        memory.add(event({"content": f"{number},"}), number + 1)
    assert memory._bytes < 64 * 1024
    assert memory.seen.content == "".join(f"{number}," for number in range(5000))
    assert memory.seen.tokens == 5000


@pytest.mark.parametrize("strange", [b'data: {"choices":[', b'data: {"choices":[{}]}'])
def test_what_can_t_be_read_is_noticed(strange: bytes) -> None:
    memory = Memory()
    memory.add(event({"content": "a"}) + strange + b"\n\n" + event({"content": "b"}), 1)
    assert (memory.seen.content, memory.seen.is_strange) == ("ab", True)
