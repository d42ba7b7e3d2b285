"""LiteLLM's functions."""

import asyncio
from typing import Any

import litellm
from calls import ASK, TOKEN, URL, call

AT: dict[str, Any] = {"api_base": f"{URL}/v1", "api_key": TOKEN, "num_retries": 0}
MESSAGES = [{"role": "user", "content": ASK}]


async def message() -> Any:
    return await litellm.anthropic.messages.acreate(
        model="anthropic/tiny", api_base=URL, api_key=TOKEN, messages=MESSAGES, max_tokens=40
    )


def main() -> None:
    with call("litellm", "completion"):
        answer = litellm.completion("openai/tiny", MESSAGES, max_tokens=40, **AT)
        assert answer.choices[0].message.content
    with call("litellm", "completion, streamed"):
        chunks = litellm.completion("openai/tiny", MESSAGES, max_tokens=40, stream=True, **AT)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    with call("litellm", "completion, too long"):
        try:
            litellm.completion("openai/tiny", [{"role": "user", "content": "long " * 3000}], **AT)
        except litellm.ContextWindowExceededError:
            pass
        else:
            raise AssertionError("no ContextWindowExceededError")
    with call("litellm", "text_completion"):
        text = litellm.text_completion(
            model="text-completion-openai/tiny", prompt="Once", max_tokens=20, **AT
        )
        assert text.choices[0].text
    with call("litellm", "embedding"):
        data = litellm.embedding("openai/embeds", ["one", "two"], **AT).data
        assert [len(each["embedding"]) for each in data] == [32, 32]
    with call("litellm", "responses"):
        response = litellm.responses(ASK, "openai/tiny", max_output_tokens=40, **AT)
        assert response.output
    with call("litellm", "rerank"):
        ranked = litellm.rerank(
            "jina_ai/ranks", "hello", ["bac", "hello"], api_base=f"{URL}/v1", api_key=TOKEN
        )
        assert len(ranked.results) == 2
    with call("litellm", "anthropic.messages"):
        assert asyncio.run(message())["content"]
    with call("litellm", "completion, anthropic"):
        answer = litellm.completion(
            "anthropic/tiny", MESSAGES, api_base=URL, api_key=TOKEN, max_tokens=40
        )
        assert answer.choices[0].message.content


if __name__ == "__main__":
    main()
