"""The system prompt and the messages of a request, as the messages of a chat. Pure."""

import re
from typing import Any

from api.errors import bad_request
from api.json_text import compact
from api.messages.parts import all_parts, bad_type, parts_of, plain, text_part
from api.request_fields import text_of

Json = dict[str, Any]

_ROLES = ("user", "assistant", "system")
# As Claude Code itself tells the user's model something between two turns.
_REMINDER = "<system-reminder>\n{}\n</system-reminder>"
# Claude Code's, at the very beginning; it is another one in each request.
_CHECKSUM = re.compile(r"(x-anthropic-billing-header:[^\n]*?cch=)[^;\n]{5};")


def chat_messages(system: Any, messages: Any) -> list[Json]:
    """The messages of the chat, or an `ApiError` 400. `system` is None where there is none.

    The templates of many models raise for a system message that is not the first, or for two turns
    of the user in a row. So one system message comes first, and neighbouring turns of the user
    become one, as in Anthropic's API.
    """
    if not isinstance(messages, list) or not messages:
        raise bad_request("`messages` must be a list of one or more messages.", param="messages")
    prompts = [] if system is None else [_system(system, "system")]
    chat: list[Json] = []
    for i, message in enumerate(messages):
        for said in _said(message, f"messages[{i}]"):
            if said["role"] != "system":
                _add(chat, said)
            elif chat:
                _add(chat, {"role": "user", "content": _REMINDER.format(said["content"])})
            else:
                prompts.append(said["content"])
    return [{"role": "system", "content": "\n\n".join(prompts)}, *chat] if prompts else chat


def _add(chat: list[Json], said: Json) -> None:
    if chat and chat[-1]["role"] == said["role"] == "user":
        chat[-1]["content"] = parts = _parts(chat[-1]["content"])
        parts += _parts(said["content"])
    else:
        chat.append(said)


def _parts(content: str | list[Json]) -> list[Json]:
    return [text_part(content)] if isinstance(content, str) else content


def _system(content: Any, where: str) -> str:
    parts = all_parts(content, where)
    if any(part["type"] != "text" for part in parts):
        raise bad_request(f"`{where}` must be a string, or blocks of text.", param=where)
    return "".join(_without_checksum(part["text"]) for part in parts)


def _without_checksum(text: str) -> str:
    """The text without what differs in each request, as llama-server does it for its cache.

    >>> _without_checksum("x-anthropic-billing-header: cc_entrypoint=cli; cch=a5145;Hello")
    'x-anthropic-billing-header: cc_entrypoint=cli; cch=fffff;Hello'
    """
    found = _CHECKSUM.match(text)
    return f"{found[1]}fffff;{text[found.end() :]}" if found else text


def _said(message: Any, where: str) -> list[Json]:
    """What one message says: results of tools are messages of their own in a chat."""
    if not isinstance(message, dict):
        raise bad_request(f"`{where}` must be an object.", param=where)
    role, content = message.get("role"), message.get("content")
    if not isinstance(role, str) or role not in _ROLES:
        allowed = ", ".join(_ROLES)
        raise bad_request(f"`{where}.role` must be one of {allowed}.", param=f"{where}.role")
    where = f"{where}.content"
    if role == "system":
        return [{"role": role, "content": _system(content, where)}]
    if isinstance(content, str):
        return [{"role": role, "content": content}]
    if content is None and role == "assistant":
        return []  # llama-server takes it, too
    if content is None and "content" in message:
        return [{"role": role, "content": ""}]
    if not isinstance(content, list):
        raise bad_request(f"`{where}` must be a string or a list of blocks.", param=where)
    return _assistants(content, where) if role == "assistant" else _users(content, where)


def _assistants(content: list[Any], where: str) -> list[Json]:
    parts: list[Json] = []
    calls: list[Json] = []
    thinking = ""
    for i, block in enumerate(content):
        kind = block.get("type") if isinstance(block, dict) else None
        if kind == "thinking":
            thinking += _text_if_any(block, "thinking", f"{where}[{i}]")
        elif kind == "tool_use":
            calls.append(_call(block, f"{where}[{i}]"))
        else:
            parts += parts_of(block, f"{where}[{i}]")
    if any(part["type"] != "text" for part in parts):
        raise bad_request(f"`{where}` must have no pictures: the assistant speaks.", param=where)
    if not (parts or calls or thinking):
        return []
    said: Json = {"role": "assistant", "content": parts or ""}
    said |= {"tool_calls": calls} if calls else {}
    return [said | ({"reasoning_content": thinking} if thinking else {})]


def _users(content: list[Any], where: str) -> list[Json]:
    """In the order of the blocks: the answer to a call comes right after it."""
    said: list[Json] = []
    for i, block in enumerate(content):
        kind = block.get("type") if isinstance(block, dict) else None
        if kind == "tool_result":
            said.append(_result(block, f"{where}[{i}]"))
        elif kind in ("thinking", "tool_use"):
            raise bad_type(f"{where}[{i}]")
        elif parts := parts_of(block, f"{where}[{i}]"):
            if not said or said[-1]["role"] != "user":
                said.append({"role": "user", "content": []})
            said[-1]["content"] += parts
    return said


def _call(block: Json, where: str) -> Json:
    arguments = block.get("input") or {}
    if not isinstance(arguments, dict):  # a chat would read a string as JSON
        arguments = compact(arguments).decode()
    function = {"name": _text_if_any(block, "name", where), "arguments": arguments}
    return {"id": _text_if_any(block, "id", where), "type": "function", "function": function}


def _result(block: Json, where: str) -> Json:
    """What a tool said. A chat can't mark a failure, so an empty result says it in words."""
    id_, content = _text_if_any(block, "tool_use_id", where), block.get("content")
    parts = [] if content is None else all_parts(content, f"{where}.content")
    if block.get("is_error") and not any(part.get("text", "x").strip() for part in parts):
        parts = [text_part("The tool failed.")]
    return {"role": "tool", "tool_call_id": id_, "content": plain(parts)}


def _text_if_any(block: Json, name: str, where: str) -> str:
    """The field `name`, empty where there is none: histories of some clients lack it."""
    return "" if block.get(name) is None else text_of(block, name, where)
