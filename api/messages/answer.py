"""The whole answer to a request for a message, made of a chat's. Pure."""

import json
from collections.abc import Mapping
from typing import Any

from api.chat.completion import Completion
from api.chat.recast import RecastAssembly
from api.chat.request import ChatRequest
from api.json_text import compact
from api.messages.stopping import stopping_word
from api.usage import cached_tokens

Json = dict[str, Any]

_STOP_REASONS = {"stop": "end_turn", "tool_calls": "tool_use"}


class _Said(Completion):
    """The chat's answer, and the stop sequence that ended it."""

    stop_sequence: str | None = None

    def _add_chunk(self, chunk: Json) -> None:
        self.stop_sequence = stopping_word(chunk) or self.stop_sequence
        super()._add_chunk(chunk)


class MessageAssembly(RecastAssembly[_Said]):
    """Makes one message of a chat's chunks (`api.endpoint.Assembly`)."""

    def __init__(self) -> None:
        super().__init__(_Said)

    def body(self) -> bytes:
        """See `Assembly`."""
        chosen = self._completion.choice()
        last, usage = self._completion.last_chunk, self._completion.usage or {}
        message = message_head(last) | {
            "content": _blocks(chosen["message"], last.get("id", "")),
            "stop_reason": stop_reason(chosen["finish_reason"]),
            "stop_sequence": self._completion.stop_sequence,
            "usage": prompt_usage(*prompt_tokens(usage)) | output_usage(usage),
        }
        return compact(message)


def assembly(chat: ChatRequest) -> MessageAssembly:
    """That of the answer to this request."""
    return MessageAssembly()


def message_head(chunk: Mapping[str, Any]) -> Json:
    """A message without content yet, by the names in one of its chunks."""
    return {
        "id": chunk.get("id", ""),
        "type": "message",
        "role": "assistant",
        "content": [],
        "model": chunk.get("model", ""),
        "stop_reason": None,
        "stop_sequence": None,
    }


def stop_reason(finish_reason: str | None) -> str:
    """Why an answer ended. It doesn't tell whether a stop sequence did: llama-server's does not.

    >>> stop_reason("length"), stop_reason("stop")
    ('max_tokens', 'end_turn')
    """
    return _STOP_REASONS.get(finish_reason or "", "max_tokens")


def prompt_tokens(usage: Mapping[str, Any]) -> tuple[int, int]:
    """All tokens of the prompt, and how many of them were cached."""
    return usage.get("prompt_tokens", 0), cached_tokens(usage)


def prompt_usage(total: int, cached: int) -> Json:
    """What a prompt cost, as Anthropic counts.

    >>> prompt_usage(21, 20)
    {'cache_read_input_tokens': 20, 'input_tokens': 1}
    """
    return {"cache_read_input_tokens": cached, "input_tokens": total - cached}


def output_usage(usage: Mapping[str, Any]) -> Json:
    """What an answer cost."""
    return {"output_tokens": usage.get("completion_tokens", 0)}


def tool_id(call_id: str, message_id: str, number: int) -> str:
    """The name of a call: its result has to name it, so it never is empty.

    >>> tool_id("x", "chatcmpl-1", 0), tool_id("", "chatcmpl-1", 0)
    ('x', 'toolu_chatcmpl-1_0')
    """
    return call_id or f"toolu_{message_id}_{number}"


def _blocks(message: Mapping[str, Any], id_: str) -> list[Json]:
    blocks: list[Json] = []
    if thinking := message.get("reasoning_content"):
        blocks.append({"type": "thinking", "thinking": thinking, "signature": ""})
    if message["content"]:
        blocks.append({"type": "text", "text": message["content"]})
    for number, call in enumerate(message.get("tool_calls", ())):
        blocks.append(
            {
                "type": "tool_use",
                "id": tool_id(call.get("id", ""), id_, number),
                "name": call["function"]["name"],
                "input": _input(call["function"]["arguments"]),
            }
        )
    return blocks


def _input(arguments: str) -> Json:
    try:
        read = json.loads(arguments)
    except ValueError:  # the limit cut it, or the model wrote no JSON
        return {}
    return read if isinstance(read, dict) else {}
