"""Agents of Pydantic AI, over each API that it speaks."""

from typing import Any, Literal

from calls import ASK, CITIES, TOKEN, URL, call
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider

NAME = "pydantic-ai-slim"
OPENAI = OpenAIProvider(base_url=f"{URL}/v1", api_key=TOKEN)
MODELS: dict[str, Any] = {
    "OpenAIChatModel": OpenAIChatModel("tiny", provider=OPENAI),
    "OpenAIResponsesModel": OpenAIResponsesModel("tiny", provider=OPENAI),
    "AnthropicModel": AnthropicModel(
        "tiny", provider=AnthropicProvider(base_url=URL, api_key=TOKEN)
    ),
}


class Place(BaseModel):
    """What the model is to fill in."""

    city: Literal["Paris", "Lima"]


def weather(city: Literal["Paris", "Lima"]) -> str:
    """Tells the weather."""
    return f"{city}: mild"


def main() -> None:
    for name, model in MODELS.items():
        with call(NAME, f"{name}, text"):
            assert Agent(model).run_sync(ASK).output
        with call(NAME, f"{name}, tool"):
            assert Agent(model, tools=[weather]).run_sync(ASK).output
        with call(NAME, f"{name}, structured"):
            assert Agent(model, output_type=Place).run_sync(ASK).output.city in CITIES


if __name__ == "__main__":
    main()
