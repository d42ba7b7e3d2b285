"""LangChain's classes for OpenAI."""

from typing import Any, Literal

from calls import ASK, CITIES, TOKEN, URL, call
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings
from pydantic import BaseModel

NAME = "langchain-openai"
AT: dict[str, Any] = {"base_url": f"{URL}/v1", "api_key": TOKEN, "max_retries": 0}


class Place(BaseModel):
    """What the model is to fill in."""

    city: Literal["Paris", "Lima"]


@tool
def weather(city: Literal["Paris", "Lima"]) -> str:
    """Tells the weather."""
    return f"{city}: mild"


def chats() -> None:
    chat = ChatOpenAI(model="tiny", max_tokens=200, **AT)
    with call(NAME, "ChatOpenAI.invoke"):
        assert chat.invoke(ASK).content
    with call(NAME, "ChatOpenAI.stream"):
        assert "".join(str(chunk.content) for chunk in chat.stream(ASK))
    with call(NAME, "ChatOpenAI, tool"):
        first = chat.bind_tools([weather]).invoke(ASK)
        (asked,) = first.tool_calls
        result = weather.invoke(asked)
        assert chat.bind_tools([weather]).invoke([("user", ASK), first, result]).content
    with call(NAME, "ChatOpenAI, structured"):
        assert chat.with_structured_output(Place).invoke(ASK).city in CITIES
    with call(NAME, "ChatOpenAI, responses"):
        answer = ChatOpenAI(model="tiny", max_tokens=40, use_responses_api=True, **AT).invoke(ASK)
        assert answer.text


def others() -> None:
    with call(NAME, "OpenAI.invoke"):
        assert OpenAI(model="tiny", max_tokens=20, **AT).invoke("Once")
    with call(NAME, "OpenAI.stream"):
        assert "".join(OpenAI(model="tiny", max_tokens=20, **AT).stream("Once"))
    with call(NAME, "OpenAIEmbeddings"):
        # Else it sends the token ids of a tokenizer of OpenAI's.
        embed = OpenAIEmbeddings(model="embeds", check_embedding_ctx_length=False, **AT)
        assert [len(vector) for vector in embed.embed_documents(["one", "two"])] == [32, 32]


if __name__ == "__main__":
    chats()
    others()
