"""The whole answer to a request for a transcription, made of a chat's. Pure."""

from collections.abc import Mapping
from typing import Any

from api.chat.completion import Completion
from api.chat.recast import RecastAssembly
from api.chat.request import ChatRequest
from api.json_text import compact
from api.usage import cached_tokens

Json = dict[str, Any]


class TranscriptionAssembly(RecastAssembly[Completion]):
    """Makes one transcript of a chat's chunks (`api.endpoint.Assembly`)."""

    def __init__(self) -> None:
        super().__init__(Completion)

    def body(self) -> bytes:
        """See `Assembly`."""
        said = self._completion.choice()["message"]["content"]
        return compact(transcript(said, self._completion.usage or {}))


def assembly(chat: ChatRequest) -> TranscriptionAssembly:
    """That of the answer to this request."""
    return TranscriptionAssembly()


def transcript(text: str, usage: Mapping[str, Any]) -> Json:
    """All that was heard, and what a chat's usage says of it, as llama-server tells both."""
    told = {
        "type": "tokens",
        "input_tokens": usage.get("prompt_tokens", 0),
        "output_tokens": usage.get("completion_tokens", 0),
        "total_tokens": usage.get("total_tokens", 0),
        "input_tokens_details": {"cached_tokens": cached_tokens(usage)},
    }
    return {"type": "transcript.text.done", "text": text, "usage": told}
