"""An answer as the Responses API shows it: its items, and what stands around them. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from api.json_text import compact, read
from api.responses.tools import INPUT, Tool
from api.usage import cached_tokens

Json = dict[str, Any]

COMPLETED = "completed"
INCOMPLETE = "incomplete"
IN_PROGRESS = "in_progress"
FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Frame:
    """What is the same in all that is said of one answer.

    `repeated` is JSON without its braces: what the request has set.
    """

    id: str
    created: int
    model: str
    repeated: bytes

    def response(self, status: str, **more: Any) -> bytes:
        """The answer as JSON. `more` are fields that only this moment knows."""
        cut = {"reason": "max_output_tokens"} if status == INCOMPLETE else None
        head = {
            "id": self.id,
            "object": "response",
            "created_at": self.created,
            "status": status,
            "error": None,
            "incomplete_details": cut,
            "model": self.model,
            "output": [],
            "usage": None,
            **more,
        }
        return b"%b,%b}" % (compact(head)[:-1], self.repeated)


def status_of(finish_reason: str) -> str:
    """How an answer has ended.

    >>> status_of("length"), status_of("tool_calls")
    ('incomplete', 'completed')
    """
    return INCOMPLETE if finish_reason == "length" else COMPLETED


def usage_of(usage: Json | None) -> Json | None:
    """A chat's usage, by this API's names. llama-server counts no tokens of reasoning."""
    if usage is None:
        return None
    thought = usage.get("completion_tokens_details", {}).get("reasoning_tokens", 0)
    return {
        "input_tokens": usage["prompt_tokens"],
        "output_tokens": usage["completion_tokens"],
        "total_tokens": usage["total_tokens"],
        "input_tokens_details": {"cached_tokens": cached_tokens(usage), "cache_write_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": thought},
    }


def text_part(text: str, logprobs: list[Any]) -> Json:
    """A part of a message."""
    return {"type": "output_text", "annotations": [], "logprobs": logprobs, "text": text}


def message_item(item_id: str, status: str, parts: list[Json]) -> Json:
    """What the assistant says."""
    return {
        "type": "message",
        "status": status,
        "id": item_id,
        "content": parts,
        "role": "assistant",
    }


def reasoning_part(text: str) -> Json:
    """A part of what the assistant thinks."""
    return {"type": "reasoning_text", "text": text}


def reasoning_item(item_id: str, status: str, parts: list[Json]) -> Json:
    """What the assistant thinks."""
    return {
        "type": "reasoning",
        "status": status,
        "id": item_id,
        "summary": [],
        "content": parts,
        "encrypted_content": "",
    }


def call_item(
    item_id: str, status: str, call_id: str, tool: Tool, arguments: str | None = None
) -> Json:
    """A call of a tool, with `arguments` as the model has written them, once they are there."""
    item = {
        "type": "custom_tool_call" if tool.is_custom else "function_call",
        "status": status,
        "id": item_id,
        "call_id": call_id,
        "name": tool.name,
    }
    if tool.namespace:
        item["namespace"] = tool.namespace
    if tool.is_custom:
        return {**item, "input": custom_input(arguments or "")}
    return {**item, "arguments": arguments or ""}


def custom_input(arguments: str) -> str:
    """The text that a model gives to a custom tool; what is cut off stays as it is."""
    try:
        return str(read(arguments.encode())[INPUT])
    except (ValueError, KeyError, TypeError):
        return arguments


def tool_named(name: str, tools: Mapping[str, Tool]) -> Tool:
    """The tool that a model calls by this name."""
    return tools.get(name) or Tool(name)
