"""What a request will probably cost."""

from typing import Any

import pytest

from api.chat.estimate import TOKENS_PER_MEDIUM, prompt_tokens

PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 10_000}}


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def call(arguments: Any) -> dict[str, Any]:
    function = {"name": "abcd", "arguments": arguments}
    return {"role": "assistant", "content": None, "tool_calls": [{"function": function}]}


@pytest.mark.parametrize(
    ("messages", "tokens"),
    [
        ([user("")], 1),
        ([user("abcd")], 1),
        ([user("abcde")], 2),
        ([user("日本")], 2),
        ([user("a" * 400), user("b" * 400)], 200),
        ([user([{"type": "text", "text": "abcd"}, {"type": "text", "text": "efgh"}])], 2),
        ([{"role": "assistant", "content": "abcd", "reasoning_content": "efgh"}], 2),
        ([call("wxyz")], 2),
        ([call({"a": 1})], 3),
        ([user([PICTURE])], TOKENS_PER_MEDIUM),
        ([user([{"type": "text", "text": "abcd"}, PICTURE, PICTURE])], 1 + 2 * TOKENS_PER_MEDIUM),
    ],
)
def test_prompt_is_a_quarter_of_its_text_and_a_fixed_sum_per_medium(
    messages: list[dict[str, Any]], tokens: int
) -> None:
    assert prompt_tokens(b"", messages) == tokens


def test_what_comes_before_the_messages_counts() -> None:
    assert prompt_tokens(b"x" * 40, [user("abcd")]) == 11
