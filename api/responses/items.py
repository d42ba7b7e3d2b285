"""The items of `input` as the messages of a chat. Pure.

As llama-server turns them, what the assistant said, thought and called in a row is one message.
The system's texts at the beginning are one message too: many chat templates take no second one
from the system, and Codex sends several.
"""

from collections.abc import Callable, Mapping
from typing import Any

from api.chat.messages import MAX_PIECES
from api.errors import bad_request
from api.json_text import compact
from api.request_fields import text_of, without_nulls
from api.responses.tools import INPUT, tool_of

Json = dict[str, Any]

SYSTEM_ROLES = ("system", "developer")
ROLES = ("user", "assistant", *SYSTEM_ROLES)
# The server that answered then has run these. The text that followed has their results.
RUN_ELSEWHERE = frozenset(
    {"web_search_call", "file_search_call", "image_generation_call", "code_interpreter_call"}
)


class Conversation:
    """Messages that grow by items. `origins` say where each stands in the request."""

    def __init__(self) -> None:
        self.messages: list[Json] = []
        self.origins: dict[str, str] = {}
        self._opening: list[Json] = []  # the system's texts that it begins with
        self._is_joined = False

    def add(self, message: Json, where: str) -> None:
        """A message of its own."""
        self.origins[f"messages[{len(self.messages)}]"] = where
        self.messages.append(message)

    def assistant(self, where: str) -> Json:
        """The assistant's message, which may have more to it."""
        if not self.messages or self.messages[-1]["role"] != "assistant":
            self.add({"role": "assistant"}, where)
        return self.messages[-1]

    def instruct(self, role: str, parts: list[Json], where: str) -> None:
        """The system says something, in texts alone."""
        if self._opening and len(self.messages) == 1:
            self._opening += parts
            self._is_joined = True
            return
        if not self.messages:
            self._opening = parts
        self.add({"role": role, "content": parts}, where)

    def call(self, call: Json, where: str) -> None:
        """The assistant calls a tool."""
        calls = self.assistant(where).setdefault("tool_calls", [])
        name = f"messages[{len(self.messages) - 1}].tool_calls[{len(calls)}]"
        self.origins |= {name: where, f"{name}.function": where}
        calls.append(call)

    def tidy(self) -> None:
        """Spells each message in one way: equal conversations are to look the same."""
        if self._is_joined:
            texts = [part["text"] for part in self._opening]
            self.messages[0]["content"] = "\n\n".join(filter(None, texts))
        for message in self.messages:
            parts = message.get("content", "")
            if parts or "tool_calls" not in message:
                message["content"] = _plain(parts)


def read_input(given: Any, conversation: Conversation) -> None:
    """Adds all of it to the conversation, or raises an `ApiError` 400."""
    if isinstance(given, str):
        conversation.add({"role": "user", "content": given}, "input")
    elif isinstance(given, list) and len(given) <= MAX_PIECES:
        for i, item in enumerate(given):
            _add(conversation, item, f"input[{i}]")
    else:
        raise bad_request(
            f"`input` must be a string or a list of {MAX_PIECES} items at most.", param="input"
        )
    conversation.tidy()


def _add(conversation: Conversation, item: Any, where: str) -> None:
    if not isinstance(item, Mapping):
        raise bad_request(f"`{where}` must be an object.", param=where)
    kind = _type_of(item)
    if kind == "item_reference":
        raise bad_request(
            f"`{where}` refers to an item of an earlier answer, but llamaq stores none: send the "
            "item itself.",
            param=where,
        )
    if kind in RUN_ELSEWHERE:
        return
    read = _READERS.get(kind)
    if read is None:
        allowed = ", ".join(_READERS)
        raise bad_request(f"`{where}.type` must be one of {allowed}.", param=f"{where}.type")
    read(conversation, without_nulls(item), where)


def _type_of(item: Mapping[str, Any]) -> str:
    if kind := item.get("type"):
        return kind if isinstance(kind, str) else ""
    if "role" in item:
        return "message"
    return "item_reference" if "id" in item else ""


def _message(conversation: Conversation, item: Json, where: str) -> None:
    role = item.get("role")
    if role not in ROLES:
        allowed = ", ".join(ROLES)
        raise bad_request(f"`{where}.role` must be one of {allowed}.", param=f"{where}.role")
    said = item.get("content", [] if role == "assistant" else None)
    parts = _parts(said, f"{where}.content")
    if role == "assistant":
        conversation.assistant(where).setdefault("content", []).extend(parts)
    elif role in SYSTEM_ROLES and all(part["type"] == "text" for part in parts):
        conversation.instruct(role, parts, where)
    else:
        conversation.add({"role": role, "content": parts}, where)


def _function_call(conversation: Conversation, item: Json, where: str) -> None:
    _call(conversation, item, item.get("arguments"), where)


def _custom_call(conversation: Conversation, item: Json, where: str) -> None:
    said = {INPUT: text_of(item, "input", where)}
    _call(conversation, item, compact(said).decode(), where)


def _call(conversation: Conversation, item: Json, arguments: Any, where: str) -> None:
    name = tool_of(item, where).chat_name
    function = {"name": name, "arguments": arguments}
    conversation.call(
        {"id": text_of(item, "call_id", where), "type": "function", "function": function}, where
    )


def _output(conversation: Conversation, item: Json, where: str) -> None:
    content = _parts(item.get("output"), f"{where}.output")
    message = {"role": "tool", "tool_call_id": text_of(item, "call_id", where), "content": content}
    conversation.add(message, where)


def _reasoning(conversation: Conversation, item: Json, where: str) -> None:
    """Only its author can read more than the summary of what is encrypted."""
    thought = _thought(item, "content", where) or _thought(item, "summary", where)
    if thought:
        conversation.assistant(where)["reasoning_content"] = thought


def _thought(item: Json, name: str, where: str) -> str:
    parts = item.get(name, [])
    if not _is_list_of_objects(parts):
        raise bad_request(
            f"`{where}.{name}` must be a list of {MAX_PIECES} parts at most.",
            param=f"{where}.{name}",
        )
    return "\n".join(text_of(part, "text", f"{where}.{name}[{i}]") for i, part in enumerate(parts))


def _parts(content: Any, where: str) -> list[Json]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if not _is_list_of_objects(content):
        raise bad_request(
            f"`{where}` must be a string or a list of {MAX_PIECES} parts at most.", param=where
        )
    return [_part(part, f"{where}[{i}]") for i, part in enumerate(content)]


def _part(part: Mapping[str, Any], where: str) -> Json:
    kind = part.get("type")
    if kind in ("input_text", "output_text", "text"):
        return {"type": "text", "text": text_of(part, "text", where)}
    if kind == "refusal":
        return {"type": "text", "text": text_of(part, "refusal", where)}
    if kind == "input_image":
        if part.get("file_id"):
            raise bad_request(
                f"`{where}.file_id` names a file, but llamaq stores none: send the image in "
                "`image_url` as a data: URL.",
                param=f"{where}.file_id",
            )
        return {"type": "image_url", "image_url": {"url": text_of(part, "image_url", where)}}
    raise bad_request(
        f"`{where}.type` must be one of input_text, input_image, output_text, refusal.",
        param=f"{where}.type",
    )


def _plain(content: str | list[Json]) -> str | list[Json]:
    """A single text as it is."""
    if isinstance(content, list) and [part["type"] for part in content] == ["text"]:
        return str(content[0]["text"])
    return content


def _is_list_of_objects(value: Any) -> bool:
    if not isinstance(value, list) or len(value) > MAX_PIECES:
        return False
    return all(isinstance(each, Mapping) for each in value)


_READERS: Mapping[str, Callable[[Conversation, Json, str], None]] = {
    "message": _message,
    "function_call": _function_call,
    "function_call_output": _output,
    "custom_tool_call": _custom_call,
    "custom_tool_call_output": _output,
    "reasoning": _reasoning,
}
