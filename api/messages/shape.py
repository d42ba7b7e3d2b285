"""The stream of a message, made of a chat's chunks. Pure."""

from collections.abc import Mapping
from typing import Any

from api.chat.text_chunk import TEXT
from api.endpoint import Piece
from api.errors import ApiError
from api.failure import restarted
from api.json_text import read
from api.messages.answer import (
    message_head,
    output_usage,
    prompt_tokens,
    prompt_usage,
    stop_reason,
    tool_id,
)
from api.messages.blocks import Blocks, quoted
from api.messages.errors import error_body
from api.messages.event import typed_event
from api.messages.stopping import DETAILS, stopping_word
from api.sse import data_of, split

Json = dict[str, Any]


class MessageShape:
    """Anthropic's events (`api.endpoint.Shape`): one message, whose blocks follow each other.

    It begins with the first news of its prompt. An attempt that broke off before the first block
    leaves no trace.
    """

    def __init__(self, request_id: str) -> None:
        self._request_id = request_id
        self._blocks = Blocks()
        self._id: str | None = None
        self._prompt: tuple[int, int] | None = None
        self._usage: Json = {}
        self._finish_reason: str | None = None
        self._stop_sequence: str | None = None

    def take(self, piece: Piece) -> bytes:
        """See `Shape`."""
        if piece.restart:
            return restarted(self._blocks.have_begun)
        return b"".join(map(self._shown, split(piece.events)))

    def end(self) -> bytes:
        """See `Shape`."""
        begun = b"" if self._id is not None else self._start({})
        usage = output_usage(self._usage)
        if self._prompt is None:  # the start of the message couldn't tell
            usage |= prompt_usage(*prompt_tokens(self._usage))
        reason = stop_reason(self._finish_reason)
        delta = {"stop_reason": reason, "stop_sequence": self._stop_sequence}
        last = typed_event("message_delta", delta=delta, usage=usage)
        return b"".join((begun, self._blocks.close(), last, typed_event("message_stop")))

    def fail(self, error: ApiError) -> bytes:
        """See `Shape`."""
        return typed_event(**error_body(error, self._request_id))

    def _shown(self, event: bytes) -> bytes:
        text = TEXT.match(event)
        if text is not None and self._id is not None and event.find(DETAILS, text.end()) < 0:
            return self._blocks.text(text[1], text[2])
        data = data_of(event)
        return self._add(read(data)) if data.startswith(b"{") else b""

    def _add(self, chunk: Mapping[str, Any]) -> bytes:
        started = b"" if self._id is not None else self._start(chunk)
        self._usage = chunk.get("usage") or self._usage
        self._stop_sequence = stopping_word(chunk) or self._stop_sequence
        return started + b"".join(map(self._choice, chunk.get("choices", ())))

    def _choice(self, choice: Mapping[str, Any]) -> bytes:
        self._finish_reason = choice["finish_reason"] or self._finish_reason
        delta = choice["delta"]
        shown = [
            self._blocks.text(name.encode(), quoted(delta[name]))
            for name in ("reasoning_content", "content")
            if delta.get(name)
        ]
        shown += [self._call(call) for call in delta.get("tool_calls", ())]
        return b"".join(shown)

    def _call(self, call: Mapping[str, Any]) -> bytes:
        number, function = call["index"], call.get("function", {})
        id_ = tool_id(call.get("id", ""), self._id or "", number)
        name, arguments = function.get("name", ""), function.get("arguments", "")
        return self._blocks.call(number, id_, name, arguments)

    def _start(self, chunk: Mapping[str, Any]) -> bytes:
        head = message_head(chunk)
        self._id, progress = head["id"], chunk.get("prompt_progress")
        if progress is not None:
            self._prompt = progress["total"], progress["cache"]
        usage = prompt_usage(*(self._prompt or (0, 0))) | output_usage({})
        return typed_event("message_start", message={**head, "usage": usage})
