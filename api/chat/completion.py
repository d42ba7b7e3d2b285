"""Makes of llama-server's stream the chat answer that it would have given in one piece. Pure."""

from collections.abc import Sequence
from typing import Any

from api.chat.request import ChatRequest
from api.chat.text_chunk import NAMES, TEXT, names_role_alone
from api.growing_choice import ChunkAssembly, GrowingChoice, whole_answer
from api.growing_text import Text
from api.usage import merge_usage
from dispatcher.errors import WorkerFailed

Json = dict[str, Any]


class Completion(GrowingChoice):
    """One choice, growing as its events arrive; they may be split anywhere."""

    TEXT = TEXT
    NAMES = NAMES
    _says_nothing = staticmethod(names_role_alone)

    def __init__(self) -> None:
        self._content = Text()
        self._reasoning = Text()
        super().__init__({b"content": self._content, b"reasoning_content": self._reasoning})
        self._calls: dict[int, _ToolCall] = {}

    def choice(self, index: int = 0) -> Json:
        """The finished choice; `WorkerFailed` if the stream ended before it was."""
        choice: Json = {
            "finish_reason": self._finish(),
            "index": index,
            "message": self._message(),
        }
        if self._logprobs:
            choice["logprobs"] = {"content": self._logprobs}
        return choice

    def _has_said(self) -> bool:
        return bool(self._calls) or super()._has_said()

    def _take(self, choice: Json) -> None:
        delta = choice["delta"]
        self._content.add(delta.get("content") or "")
        self._reasoning.add(delta.get("reasoning_content") or "")
        for part in delta.get("tool_calls", ()):
            self._calls.setdefault(part["index"], _ToolCall()).add(part)

    def _message(self) -> Json:
        message: Json = {"role": "assistant", "content": str(self._content)}
        if reasoning := str(self._reasoning):
            message["reasoning_content"] = reasoning
        if self._calls:
            message["tool_calls"] = [call.whole() for _, call in sorted(self._calls.items())]
        return message


class _ToolCall:
    def __init__(self) -> None:
        self._id = ""
        self._name = ""
        self._arguments: list[str] = []

    def add(self, part: Json) -> None:
        function = part.get("function", {})
        self._id = part.get("id") or self._id
        self._name = function.get("name") or self._name
        self._arguments.append(function.get("arguments") or "")

    def whole(self) -> Json:
        if not self._name:
            raise WorkerFailed(
                "The model's answer has a tool call without a name. Please send the request again."
            )
        function = {"name": self._name, "arguments": "".join(self._arguments)}
        call: Json = {"type": "function", "function": function}
        return call | {"id": self._id} if self._id else call


def merge(completions: Sequence[Completion]) -> Json:
    """One answer whose choices are `completions`, under the name and timings of the first."""
    usage = merge_usage([completion.usage for completion in completions])
    return whole_answer(completions, "chat.completion", usage)


def assembly(chat: ChatRequest) -> ChunkAssembly[Completion]:
    """That of the answer to this request."""
    return ChunkAssembly(Completion, chat.choices, merge)
