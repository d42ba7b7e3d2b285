"""Makes of llama-server's stream the answer that it would have given in one piece. Pure."""

import json
import re
from collections.abc import Sequence
from typing import Any

from api.chat.request import ChatRequest
from api.chat.text_chunk import NAMES, TEXT, Text, names_role_alone
from api.errors import from_llama_server
from api.json_text import compact, read
from api.sse import data_of, split, whole_part
from api.usage import merge_usage
from dispatcher.errors import WorkerFailed

Json = dict[str, Any]

HEAD = ("created", "model", "system_fingerprint")


class Completion:
    """One choice, growing as its events arrive; they may be split anywhere.

    `prefill` is the text that a non-streamed answer repeats and a stream does not.
    """

    def __init__(self, prefill: str = "") -> None:
        self._rest = b""
        self._last: Json = {}
        self._names = b""
        self._content = Text(prefill)
        self._reasoning = Text()
        self._texts = {b"content": self._content, b"reasoning_content": self._reasoning}
        self._calls: dict[int, _ToolCall] = {}
        self._logprobs: list[Any] = []
        self._finish_reason: str | None = None
        self._usage: Json | None = None

    def add(self, events: bytes) -> None:
        """Take in some bytes of the stream; an error event in them is raised as `ApiError`."""
        events = self._rest + events
        end = whole_part(events)
        self._rest = events[end:]
        for event in split(events[:end]):
            text = TEXT.match(event)
            if text is not None:
                self._add_text(event, text)
            elif self._last or not names_role_alone(event):
                self._add_data(event)
                self._names = b""

    def choice(self, index: int = 0) -> Json:
        """The finished choice; `WorkerFailed` if the stream ended before it was."""
        if not self._finish_reason:
            raise WorkerFailed("The model server ended its answer early. Please try again.")
        choice: Json = {
            "finish_reason": self._finish_reason,
            "index": index,
            "message": self._message(),
        }
        if self._logprobs:
            choice["logprobs"] = {"content": self._logprobs}
        return choice

    def _add_text(self, event: bytes, text: re.Match[bytes]) -> None:
        names = event[text.end() :]
        if names == self._names or (not self._last and NAMES.fullmatch(names)):
            self._texts[text[1]].unread.append(text[2])  # it says nothing else that is new
        else:
            self._add_data(event)
        self._names = names

    def _add_data(self, event: bytes) -> None:
        data = data_of(event)
        if data and data != b"[DONE]":
            self._add_chunk(read(data))

    def _add_chunk(self, chunk: Json) -> None:
        if "error" in chunk:
            raise from_llama_server(500, json.dumps(chunk).encode())
        self._last = chunk
        self._usage = chunk.get("usage", self._usage)
        for choice in chunk["choices"]:
            self._finish_reason = choice["finish_reason"] or self._finish_reason
            self._add_delta(choice["delta"])
            if choice.get("logprobs"):
                self._logprobs += choice["logprobs"]["content"]

    def _add_delta(self, delta: Json) -> None:
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

    @property
    def usage(self) -> Json | None:
        """Tokens of the prompt and of this choice, once the stream has told them."""
        return self._usage

    @property
    def last_chunk(self) -> Json:
        """The newest chunk: names the answer, and holds its timings when the stream is done."""
        return self._last


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
        function = {"name": self._name, "arguments": "".join(self._arguments)}
        call: Json = {"type": "function", "function": function}
        return call | {"id": self._id} if self._id else call


def merge(completions: Sequence[Completion]) -> Json:
    """One answer whose choices are `completions`, under the name and timings of the first."""
    last = completions[0].last_chunk
    answer: Json = {
        "choices": [completion.choice(i) for i, completion in enumerate(completions)],
        **{name: last[name] for name in HEAD if name in last},
        "object": "chat.completion",
    }
    if usage := merge_usage([completion.usage for completion in completions]):
        answer["usage"] = usage
    answer["id"] = last.get("id", "")
    if "timings" in last:
        answer["timings"] = last["timings"]
    return answer


class ChatAssembly:
    """The whole answer to a chat request (`api.endpoint.Assembly`)."""

    def __init__(self, prefill: str, choices: int) -> None:
        self._prefill = prefill
        self._completions = [Completion(prefill) for _ in range(choices)]

    def add(self, choice: int, events: bytes) -> None:
        """See `Assembly`."""
        self._completions[choice].add(events)

    def restart(self, choice: int) -> None:
        """See `Assembly`."""
        self._completions[choice] = Completion(self._prefill)

    def body(self) -> bytes:
        """See `Assembly`."""
        return compact(merge(self._completions))


def assembly(chat: ChatRequest) -> ChatAssembly:
    """That of the answer to this request."""
    return ChatAssembly(chat.prefill, chat.choices)
