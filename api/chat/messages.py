"""Checks the messages of a chat, so that llama-server need not answer them with a 500. Pure."""

from binascii import a2b_base64
from typing import Any

from api.body import parse_json
from api.errors import ApiError, bad_request
from api.request_fields import without_nulls
from api.sound import flaw_of

MAX_ROLE_CHARS = 64  # any role will do: templates know more than the usual ones
OPTIONAL_TEXTS = ("name", "tool_call_id", "reasoning_content")
MAX_ARGUMENTS_DEPTH = 64
MAX_PIECES = 16_384  # a chat template takes some seconds for more

# Content parts that carry media -> where the address is, if there is one.
# A worker would fetch an address, so only data: URLs may pass.
MEDIA = {
    "image_url": "url",
    "video_url": "url",
    "audio_url": "url",
    "input_audio": "data",
    "input_video": "data",
}
# The same parts -> what a server must be able to do for them, in llama-server's words.
MODALITIES = {
    "image_url": "vision",
    "video_url": "video",
    "audio_url": "audio",
    "input_audio": "audio",
    "input_video": "video",
}

_SOUNDS = "UklGR", "ZkxhQ"  # RIFF and fLaC, in base64


def checked_messages(messages: Any) -> list[dict[str, Any]]:
    """The messages without their null fields (llama-server knows no null `name`), or a 400."""
    if not isinstance(messages, list) or not messages:
        raise bad_request("`messages` must be a list of one or more messages.", param="messages")
    checked = [_message(message, f"messages[{i}]") for i, message in enumerate(messages)]
    if sum(map(_pieces, checked)) > MAX_PIECES:
        raise bad_request(
            f"`messages` must have {MAX_PIECES} parts and tool calls at most.", param="messages"
        )
    return checked


def modalities(messages: list[dict[str, Any]]) -> frozenset[str]:
    """What a server must be able to do, beside reading text, for these (checked) messages."""
    return frozenset(
        MODALITIES[part["type"]]
        for message in messages
        if isinstance(content := message.get("content"), list)
        for part in content
        if part["type"] in MODALITIES
    )


def prefill(messages: list[dict[str, Any]]) -> str:
    """The text that the answer begins with, because the last message is the assistant's own."""
    last = messages[-1]
    content = last.get("content") or ""
    if last["role"] != "assistant" or last.get("tool_calls"):
        return ""
    return content if isinstance(content, str) else "\n\n".join(part["text"] for part in content)


def _message(message: Any, where: str) -> dict[str, Any]:
    if not isinstance(message, dict):
        raise bad_request(f"`{where}` must be an object.", param=where)
    role = message.get("role")
    if not isinstance(role, str) or len(role) > MAX_ROLE_CHARS:
        raise bad_request(
            f"`{where}.role` must be a string of up to {MAX_ROLE_CHARS} characters, such as user, "
            "assistant, system or tool.",
            param=f"{where}.role",
        )
    for name in OPTIONAL_TEXTS:
        if not isinstance(message.get(name, ""), str | None):
            raise bad_request(f"`{where}.{name}` must be a string.", param=f"{where}.{name}")
    checked = without_nulls(message)
    if checked.get("tool_calls") == {}:  # as some servers say "none"
        del checked["tool_calls"]
    if "tool_calls" in checked:
        checked["tool_calls"] = _tool_calls(checked["tool_calls"], f"{where}.tool_calls")
    _check_content(message, where)
    if "content" in message:
        checked["content"] = message["content"]
    return checked


def _pieces(message: dict[str, Any]) -> int:
    content = message.get("content")
    parts = len(content) if isinstance(content, list) else 0
    return parts + len(message.get("tool_calls", ()))


def _check_content(message: dict[str, Any], where: str) -> None:
    content = message.get("content")
    where = f"{where}.content"
    if isinstance(content, list):
        for i, part in enumerate(content):
            _check_part(part, f"{where}[{i}]", is_prompt=message["role"] != "assistant")
    elif not isinstance(content, str | None):
        raise bad_request(f"`{where}` must be a string or a list of parts.", param=where)
    elif "content" not in message and message["role"] != "assistant":
        raise bad_request(f"`{where}` is missing: it must be a string or a list.", param=where)


def _check_part(part: Any, where: str, *, is_prompt: bool) -> None:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind == "text":
        if not isinstance(part.get("text"), str):
            raise bad_request(f"`{where}.text` must be a string.", param=f"{where}.text")
    elif isinstance(kind, str) and kind in MEDIA and is_prompt:
        _check_media(part.get(kind), MEDIA[kind], f"{where}.{kind}")
    else:
        allowed = ", ".join(["text", *MEDIA] if is_prompt else ["text"])
        raise bad_request(f"`{where}.type` must be one of {allowed}.", param=f"{where}.type")


def _check_media(media: Any, key: str, where: str) -> None:
    if not isinstance(media, dict) or not isinstance(media.get(key), str):
        raise bad_request(f"`{where}.{key}` must be a string.", param=f"{where}.{key}")
    for name in ("url", "data"):
        address = media.get(name, "data:")
        if not isinstance(address, str):
            raise bad_request(f"`{where}.{name}` must be a string.", param=f"{where}.{name}")
        if not _is_inline(name, address):
            raise bad_request(
                f"`{where}.{name}` must be a data: URL: send the file itself, base64-encoded.",
                param=f"{where}.{name}",
            )
    _check_sound(media[key], f"{where}.{key}")


def _check_sound(said: str, where: str) -> None:
    """Raises for a sound that would harm a server. In a picture too: a server goes by the bytes.

    What is no base64 is left to the server.
    """
    data = said.partition(",")[2] if said[:5].lower() == "data:" else said
    if not data.lstrip().startswith(_SOUNDS):
        return
    try:
        flaw = flaw_of(a2b_base64(data))
    except ValueError:
        return
    if flaw:
        raise bad_request(f"The sound in `{where}` {flaw}.", param=where)


def _is_inline(name: str, address: str) -> bool:
    if address[:5].lower() == "data:":
        return True
    return name == "data" and ":" not in address[:64]


def _tool_calls(calls: Any, where: str) -> list[dict[str, Any]]:
    if not isinstance(calls, list):
        raise bad_request(f"`{where}` must be a list.", param=where)
    return [_tool_call(call, f"{where}[{i}]") for i, call in enumerate(calls)]


def _tool_call(call: Any, where: str) -> dict[str, Any]:
    function = _function(call, where)
    if not isinstance(function.get("name"), str):
        raise _nameless(where)
    if not isinstance(call.get("id", ""), str | None):
        raise bad_request(f"`{where}.id` must be a string.", param=f"{where}.id")
    where = f"{where}.function.arguments"
    if "arguments" not in function:
        raise bad_request(f"`{where}` must be a string of JSON.", param=where)
    arguments = function["arguments"]
    if isinstance(arguments, str) and not arguments.strip():  # as some servers say "none"
        return {**without_nulls(call), "function": {**function, "arguments": "{}"}}
    if isinstance(arguments, str):
        try:
            parse_json(arguments.encode(), MAX_ARGUMENTS_DEPTH)
        except ApiError as error:
            raise bad_request(
                f'`{where}` must be a string of JSON, such as "{{}}".', param=where
            ) from error
    return without_nulls(call)


def function_of(item: Any, where: str) -> dict[str, Any]:
    """The `function` object, with a name, of a tool or of a choice of one."""
    function = _function(item, where)
    if not isinstance(function.get("name"), str) or not function["name"]:
        raise _nameless(where)
    return function


def _function(item: Any, where: str) -> dict[str, Any]:
    if not isinstance(item, dict) or item.get("type") != "function":
        raise bad_request(f'`{where}.type` must be "function".', param=f"{where}.type")
    function = item.get("function")
    if not isinstance(function, dict):
        raise _nameless(where)
    return function


def _nameless(where: str) -> ApiError:
    where = f"{where}.function.name"
    return bad_request(f"`{where}` must be a string, and not empty.", param=where)
