"""How many tokens a request will probably cost, before anybody has counted them. Pure; cheap."""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

from api.json_text import canonical

BYTES_PER_TOKEN = 4  # English text and code; others have fewer, which finish corrects
TOKENS_PER_MEDIUM = 500
USUAL_COMPLETION = 256  # of a model that has answered nothing yet


def prompt_tokens(head: bytes, messages: Sequence[Mapping[str, Any]]) -> int:
    """Tokens of the prompt, 1 or more: `head` is what the template renders before `messages`.

    A picture, sound or film counts as `TOKENS_PER_MEDIUM`, whatever its size in bytes.
    """
    text_bytes, media = len(head), 0
    for message in messages:
        text_bytes += _bytes(message.get("reasoning_content") or "")
        text_bytes += sum(_call_bytes(call) for call in message.get("tool_calls", ()))
        content = message.get("content") or ""
        if isinstance(content, str):
            text_bytes += _bytes(content)
        else:
            texts = [part["text"] for part in content if part["type"] == "text"]
            text_bytes += sum(map(_bytes, texts))
            media += len(content) - len(texts)
    return max(1, ceil(text_bytes / BYTES_PER_TOKEN) + media * TOKENS_PER_MEDIUM)


def completion_tokens(max_tokens: int | None, mean: float) -> int:
    """Tokens of one answer. `mean` is what answers of this model have on average, 0 if unknown.

    >>> completion_tokens(None, 0), completion_tokens(10, 300.2), completion_tokens(None, 300.2)
    (256, 10, 300)
    """
    usual = round(mean) or USUAL_COMPLETION
    return usual if max_tokens is None else min(max_tokens, usual)


def _call_bytes(call: Mapping[str, Any]) -> int:
    function = call["function"]
    arguments = function["arguments"]
    size = _bytes(arguments) if isinstance(arguments, str) else len(canonical(arguments))
    return _bytes(function["name"]) + size


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())
