"""LlamaIndex' classes for servers that are like OpenAI's."""

from typing import Any

from calls import ASK, TOKEN, URL, call
from llama_index.core.llms import ChatMessage
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.llms.openai_like import OpenAILike

NAME = "llama-index-llms-openai-like"
AT: dict[str, Any] = {"api_base": f"{URL}/v1", "api_key": TOKEN, "max_retries": 0}


def main() -> None:
    for is_chat in (True, False):
        name = f"is_chat_model={is_chat}"
        llm = OpenAILike(model="tiny", is_chat_model=is_chat, max_tokens=40, **AT)
        with call(NAME, f"chat, {name}"):
            assert llm.chat([ChatMessage(role="user", content=ASK)]).message.content
        with call(NAME, f"complete, {name}"):
            assert llm.complete("Once").text
        with call(NAME, f"stream_complete, {name}"):
            assert list(llm.stream_complete("Once"))[-1].text
    with call("llama-index-embeddings-openai-like", "embeddings"):
        embed = OpenAILikeEmbedding(model_name="embeds", **AT)
        assert [len(vector) for vector in embed.get_text_embedding_batch(["a", "b"])] == [32, 32]


if __name__ == "__main__":
    main()
