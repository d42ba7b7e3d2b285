"""Makes the answer in one piece of the one that a chat would have got. Pure."""

from collections.abc import Mapping
from typing import Any

from api.chat.completion import Completion
from api.chat.recast import RecastAssembly
from api.responses.answer import (
    COMPLETED,
    Frame,
    call_item,
    message_item,
    reasoning_item,
    reasoning_part,
    status_of,
    text_part,
    tool_named,
    usage_of,
)
from api.responses.request import ResponsesRequest
from api.responses.tools import Tool

Json = dict[str, Any]


class ResponsesAssembly(RecastAssembly[Completion]):
    """The whole answer to a request (`api.endpoint.Assembly`)."""

    def __init__(self, repeated: bytes, tools: Mapping[str, Tool]) -> None:
        self._repeated = repeated
        self._tools = tools
        super().__init__(Completion)

    def body(self) -> bytes:
        """See `Assembly`."""
        choice, last = self._completion.choice(), self._completion.last_chunk
        name = last.get("id", "").removeprefix("chatcmpl-")
        frame = Frame(f"resp_{name}", last.get("created", 0), last.get("model", ""), self._repeated)
        status = status_of(choice["finish_reason"])
        return frame.response(
            status,
            completed_at=frame.created if status == COMPLETED else None,
            output=self._output(choice, name, status),
            usage=usage_of(self._completion.usage),
        )

    def _output(self, choice: Json, name: str, status: str) -> list[Json]:
        """Its items. Where it was cut, the last one was."""
        message = choice["message"]
        items = []
        if thought := message.get("reasoning_content"):
            items.append(reasoning_item(f"rs_{name}", COMPLETED, [reasoning_part(thought)]))
        if text := message["content"]:
            logprobs = choice.get("logprobs", {}).get("content", [])
            items.append(message_item(f"msg_{name}", COMPLETED, [text_part(text, logprobs)]))
        for i, call in enumerate(message.get("tool_calls", ())):
            function = call["function"]
            tool = tool_named(function["name"], self._tools)
            id_, call_id = f"fc_{name}_{i}", call.get("id") or f"call_{name}_{i}"
            items.append(call_item(id_, COMPLETED, call_id, tool, function["arguments"]))
        if items:
            items[-1]["status"] = status
        return items


def assembly(asked: ResponsesRequest) -> ResponsesAssembly:
    """That of the answer to this request."""
    return ResponsesAssembly(asked.repeated, asked.tools)
