"""How many tokens a request will probably cost, before anybody has counted them. Pure; cheap."""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

from api.estimate import BYTES_PER_TOKEN, bytes_of
from api.json_text import canonical

TOKENS_PER_MEDIUM = 500


def prompt_tokens(head: bytes, messages: Sequence[Mapping[str, Any]]) -> int:
    """Tokens of the prompt, 1 or more: `head` is what the template renders before `messages`.

    A picture, sound or film counts as `TOKENS_PER_MEDIUM`, whatever its size in bytes.
    """
    text_bytes, media = len(head), 0
    for message in messages:
        text_bytes += bytes_of(message.get("reasoning_content") or "")
        text_bytes += sum(_call_bytes(call) for call in message.get("tool_calls", ()))
        content = message.get("content") or ""
        if isinstance(content, str):
            text_bytes += bytes_of(content)
        else:
            texts = [part["text"] for part in content if part["type"] == "text"]
            text_bytes += sum(map(bytes_of, texts))
            media += len(content) - len(texts)
    return max(1, ceil(text_bytes / BYTES_PER_TOKEN) + media * TOKENS_PER_MEDIUM)


def _call_bytes(call: Mapping[str, Any]) -> int:
    function = call["function"]
    arguments = function["arguments"]
    size = bytes_of(arguments) if isinstance(arguments, str) else len(canonical(arguments))
    return bytes_of(function["name"]) + size
