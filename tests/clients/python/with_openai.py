"""OpenAI's own client."""

import json
import wave
from io import BytesIO
from typing import Any, Literal

from calls import ASK, CITIES, TOKEN, URL, call
from openai import OpenAI
from pydantic import BaseModel

CLIENT = OpenAI(base_url=f"{URL}/v1", api_key=TOKEN, max_retries=0, timeout=60)
MESSAGES: list[Any] = [{"role": "user", "content": ASK}]
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": list(CITIES)}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER: dict[str, Any] = {"name": "weather", "parameters": SCHEMA}


class Place(BaseModel):
    """What the model is to fill in."""

    city: Literal["Paris", "Lima"]


def chats() -> None:
    with call("openai", "models"):
        assert "tiny" in [model.id for model in CLIENT.models.list()]
        assert CLIENT.models.retrieve("tiny").id == "tiny"
    with call("openai", "chat"):
        answer = CLIENT.chat.completions.create(model="tiny", messages=MESSAGES, max_tokens=40)
        assert answer.choices[0].message.content
    with call("openai", "chat, streamed"):
        with CLIENT.chat.completions.stream(
            model="tiny",
            messages=MESSAGES,
            stream_options={"include_usage": True},
        ) as stream:
            final = stream.get_final_completion()
        assert final.choices[0].message.content
        assert final.usage
    with call("openai", "chat, tool"):
        tools: Any = [{"type": "function", "function": WEATHER}]
        first = CLIENT.chat.completions.create(model="tiny", messages=MESSAGES, tools=tools)
        (asked,) = first.choices[0].message.tool_calls or []
        turn: Any = first.choices[0].message.to_dict()
        result: Any = {"role": "tool", "tool_call_id": asked.id, "content": "mild"}
        second = CLIENT.chat.completions.create(
            model="tiny", messages=[*MESSAGES, turn, result], tools=tools, max_tokens=40
        )
        assert second.choices[0].message.content
    with call("openai", "chat, structured"):
        parsed = CLIENT.chat.completions.parse(
            model="tiny", messages=MESSAGES, response_format=Place
        )
        assert parsed.choices[0].message.parsed


def responses() -> None:
    with call("openai", "responses"):
        response = CLIENT.responses.create(model="tiny", input=ASK, max_output_tokens=40)
        assert response.output_text
    with (
        call("openai", "responses, streamed"),
        CLIENT.responses.stream(model="tiny", input=ASK, max_output_tokens=40) as events,
    ):
        assert "".join(each.delta for each in events if each.type == "response.output_text.delta")
    with (
        call("openai", "responses, structured, streamed"),
        CLIENT.responses.stream(model="tiny", input=ASK, text_format=Place) as events,
    ):
        assert events.get_final_response().output_parsed
    with call("openai", "responses, tool"):
        tools: Any = [{"type": "function", "strict": True, **WEATHER}]
        first = CLIENT.responses.create(model="tiny", input=ASK, tools=tools)
        (asked,) = [item for item in first.output if item.type == "function_call"]
        assert json.loads(asked.arguments)["city"] in CITIES
        turns: Any = [
            {"role": "user", "content": ASK},
            asked.to_dict(),
            {"type": "function_call_output", "call_id": asked.call_id, "output": "mild"},
        ]
        second = CLIENT.responses.create(
            model="tiny", input=turns, tools=tools, max_output_tokens=40
        )
        assert second.output_text
    with call("openai", "responses, structured"):
        parsed = CLIENT.responses.parse(model="tiny", input=ASK, text_format=Place)
        assert parsed.output_parsed


def texts() -> None:
    with call("openai", "completions"):
        answer = CLIENT.completions.create(model="tiny", prompt="Once", max_tokens=20, echo=False)
        assert answer.choices[0].text
    with call("openai", "completions, streamed"):
        chunks = CLIENT.completions.create(model="tiny", prompt="Once", max_tokens=20, stream=True)
        assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices)
    with call("openai", "embeddings"):
        data = CLIENT.embeddings.create(model="embeds", input=["one", "two"]).data
        assert [len(each.embedding) for each in data] == [32, 32]


def sounds() -> None:
    asked: Any = {"model": "long", "file": ("a.wav", sound()), "extra_body": {"max_tokens": 20}}
    with call("openai", "transcriptions"):
        assert CLIENT.audio.transcriptions.create(**asked).text
    with call("openai", "transcriptions, streamed"):
        *parts, last = CLIENT.audio.transcriptions.create(**asked, stream=True)
        assert "".join(part.delta for part in parts) == last.text != ""


def sound() -> bytes:
    """A quarter of a second of silence."""
    file = BytesIO()
    with wave.open(file, "wb") as told:
        told.setparams((1, 2, 16_000, 0, "NONE", ""))
        told.writeframes(bytes(8000))
    return file.getvalue()


if __name__ == "__main__":
    chats()
    responses()
    texts()
    sounds()
