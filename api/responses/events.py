"""The items of a streamed answer, each as the events that tell of it while it grows. Pure."""

from functools import lru_cache
from typing import Any

from api.growing_text import Text
from api.json_text import compact
from api.responses.answer import (
    IN_PROGRESS,
    call_item,
    custom_input,
    message_item,
    reasoning_item,
    reasoning_part,
    text_part,
)
from api.responses.tools import Tool
from api.sse import named_event

Json = dict[str, Any]

_FOLD_PARTS = 1024


class Numbered:
    """Writes the events of one stream: each has its number."""

    def __init__(self) -> None:
        self._next = 0

    def event(self, type_: str, fields: Json) -> bytes:
        """An event of this type, with these fields."""
        return self.raw_event(type_, compact(fields)[1:-1])

    def raw_event(self, type_: str, fields: bytes) -> bytes:
        """The same, with fields that are JSON already, without its braces."""
        number = self._next
        self._next += 1
        return named_event(type_, b"%b%d,%b}" % (_head(type_), number, fields))


@lru_cache(64)
def _head(type_: str) -> bytes:
    return b'{"type":"%b","sequence_number":' % type_.encode()


class TextItem:
    """A message, or what the assistant thinks: one part with a text.

    `shown` is all of it, once it is closed. As with llama-server, `prefill` is in the text of the
    events that close it, and in no delta.
    """

    def __init__(
        self, numbered: Numbered, index: int, id_: str, *, is_thought: bool, prefill: str = ""
    ) -> None:
        self.shown: Json = {}
        self._numbered = numbered
        self._id = id_
        self._index = index
        self._where = {"item_id": id_, "output_index": index, "content_index": 0}
        self._item = reasoning_item if is_thought else message_item
        self._is_thought = is_thought
        self._name = f"response.{'reasoning' if is_thought else 'output'}_text"
        self._delta = f"{self._name}.delta"
        self._text = Text(prefill)
        self._logprobs: list[Any] = []
        self._head = b'%b,"delta":"' % compact(self._where)[1:-1]
        self._tail = b'"' if is_thought else b'","logprobs":[]'

    def open(self) -> bytes:
        """The events that begin it."""
        item = self._item(self._id, IN_PROGRESS, [])
        added = self._event("response.output_item.added", item=item)
        return added + self._event("response.content_part.added", part=self._part(""))

    def raw_delta(self, text: bytes) -> bytes:
        """More of its text, as a JSON string without its quotes."""
        unread = self._text.unread
        unread.append(text)
        if len(unread) > _FOLD_PARTS:
            self._text.read()
        fields = b"%b%b%b" % (self._head, text, self._tail)
        return self._numbered.raw_event(self._delta, fields)

    def delta(self, text: str, logprobs: list[Any], more: Json) -> bytes:
        """More of its text, with what else is told of these tokens."""
        self._text.add(text)
        self._logprobs += logprobs
        told = {} if self._is_thought else {"logprobs": logprobs}
        return self._event(self._delta, delta=text, **told, **more)

    def close(self, status: str) -> bytes:
        """The events that end it: it was completed, or else cut."""
        part = self._part(str(self._text))
        self.shown = self._item(self._id, status, [part])
        told = {} if self._is_thought else {"logprobs": self._logprobs}
        return b"".join(
            (
                self._event(f"{self._name}.done", text=part["text"], **told),
                self._event("response.content_part.done", part=part),
                self._event("response.output_item.done", item=self.shown),
            )
        )

    def _part(self, text: str) -> Json:
        return reasoning_part(text) if self._is_thought else text_part(text, self._logprobs)

    def _event(self, type_: str, **fields: Any) -> bytes:
        about_item = type_.startswith("response.output_item.")
        where = {"output_index": self._index} if about_item else self._where
        return self._numbered.event(type_, {**where, **fields})


class CallItem:
    """A call of a tool. `shown` is all of it, once it is closed."""

    def __init__(self, numbered: Numbered, index: int, id_: str, call_id: str, tool: Tool) -> None:
        self.shown: Json = {}
        self._numbered = numbered
        self._index = index
        self._id = id_
        self._call_id = call_id
        self._tool = tool
        self._arguments: list[str] = []

    def open(self) -> bytes:
        """The events that begin it."""
        item = call_item(self._id, IN_PROGRESS, self._call_id, self._tool)
        return self._numbered.event(
            "response.output_item.added", {"output_index": self._index, "item": item}
        )

    def delta(self, arguments: str) -> bytes:
        """More of its arguments. The text of a custom tool can't be read before it is whole."""
        self._arguments.append(arguments)
        if self._tool.is_custom or not arguments:
            return b""
        return self._event("response.function_call_arguments.delta", {"delta": arguments})

    def close(self, status: str) -> bytes:
        """The events that end it: it was completed, or else cut."""
        arguments = "".join(self._arguments)
        self.shown = call_item(self._id, status, self._call_id, self._tool, arguments)
        told, item = self._told(arguments), {"output_index": self._index, "item": self.shown}
        return told + self._numbered.event("response.output_item.done", item)

    def _told(self, arguments: str) -> bytes:
        if not self._tool.is_custom:
            said = {"arguments": arguments, "name": self._tool.name}
            return self._event("response.function_call_arguments.done", said)
        name, text = "response.custom_tool_call_input", custom_input(arguments)
        delta = self._event(f"{name}.delta", {"delta": text})
        return delta + self._event(f"{name}.done", {"input": text})

    def _event(self, type_: str, said: Json) -> bytes:
        where = {"item_id": self._id, "output_index": self._index}
        return self._numbered.event(type_, {**where, **said})
