"""Anthropic's own client."""

from typing import Any

from anthropic import Anthropic
from calls import ASK, CITIES, TOKEN, URL, call

CLIENT = Anthropic(base_url=URL, api_key=TOKEN, max_retries=0, timeout=60)
MESSAGES: list[Any] = [{"role": "user", "content": ASK}]
CITY = {"type": "string", "enum": list(CITIES)}
WEATHER: Any = {
    "name": "weather",
    "input_schema": {"type": "object", "properties": {"city": CITY}, "required": ["city"]},
}


def main() -> None:
    with call("anthropic", "messages"):
        answer = CLIENT.messages.create(model="tiny", messages=MESSAGES, max_tokens=40)
        assert answer.content[0].type == "text"
    with (
        call("anthropic", "messages, streamed"),
        CLIENT.messages.stream(model="tiny", messages=MESSAGES, max_tokens=40) as stream,
    ):
        assert "".join(stream.text_stream)
    with call("anthropic", "messages, tool"):
        fields: Any = {"model": "tiny", "tools": [WEATHER], "max_tokens": 200}
        first = CLIENT.messages.create(messages=MESSAGES, **fields)
        (asked,) = [block for block in first.content if block.type == "tool_use"]
        result = {"type": "tool_result", "tool_use_id": asked.id, "content": "mild"}
        turns: Any = [
            *MESSAGES,
            {"role": "assistant", "content": first.content},
            {"role": "user", "content": [result]},
        ]
        second = CLIENT.messages.create(messages=turns, **fields)
        assert second.content[0].type == "text"
    with call("anthropic", "count_tokens"):
        assert CLIENT.messages.count_tokens(model="tiny", messages=MESSAGES).input_tokens > len(ASK)


if __name__ == "__main__":
    main()
