"""The fields of a Responses request: what each may hold, and what a chat says in its place. Pure.

Some can't be honoured, because llamaq stores no answers: they are refused where an answer would
depend on them. `store: true` and `truncation: auto` are taken, for many clients send them always.
The answer says what became of them.
"""

from collections.abc import Mapping
from typing import Any

from api.chat.fields import FORWARDED
from api.errors import bad_request
from api.request_fields import object_of
from api.rules import Flag, Kwargs, Rule, Text, Texts, Word
from api.sampling_fields import OWN

MAX_TEXT = 2**31 - 1
LOGPROBS = "message.output_text.logprobs"

_RULES: Mapping[str, Rule] = {
    "instructions": Text(MAX_TEXT),
    "metadata": Kwargs(64, 65_536),
    "store": Flag(),
    "background": Flag(),
    "return_progress": Flag(),
    "include": Texts(64, 256),
    "truncation": Word(("auto", "disabled")),
    "safety_identifier": Text(256),
}
_STORED = ("previous_response_id", "conversation", "prompt")
# A chat has them under these names too. Where it has another, that is in `CHAT_NAMES`.
_SAME = {*FORWARDED, *OWN, "user", "service_tier"} - {
    *("messages", "tools", "tool_choice", "n", "n_cmpl", "stream_options")
}
FIELDS: Mapping[str, Rule | None] = {
    **{name: {**FORWARDED, **OWN}.get(name) for name in sorted(_SAME)},
    **dict.fromkeys((*_STORED, "input", "tools", "tool_choice", "reasoning", "text")),
    "max_output_tokens": FORWARDED["max_tokens"],
    **_RULES,
}
KNOWN = frozenset(FIELDS)
_STREAMED = {"stream_options": {"include_usage": True}, "return_progress": True}
CHAT_NAMES: Mapping[str, str] = {
    "messages": "input",
    "max_tokens": "max_output_tokens",
    "reasoning_effort": "reasoning.effort",
    "logprobs": "include",
    "response_format.json_schema": "text.format",
    "response_format": "text.format",
    "tool_choice.function": "tool_choice",
    "tool_choice.allowed_tools": "tool_choice",
}
"""Fields of a chat, and those of a Responses request that became them."""

Json = dict[str, Any]


def chat_fields(fields: Mapping[str, Any]) -> Json:
    """Those of a chat that say the same, but for its messages and tools; or an `ApiError` 400.

    No field is null.
    """
    for name, rule in _RULES.items():
        if name in fields:
            rule.checked(fields[name], name)
    _refuse(fields)
    chat = {name: value for name, value in fields.items() if name in _SAME}
    asked = {
        "max_tokens": fields.get("max_output_tokens"),
        "user": fields.get("user", fields.get("safety_identifier")),
        "reasoning_effort": object_of(fields, "reasoning").get("effort"),
        "response_format": _response_format(text_format(fields)),
        "logprobs": True if LOGPROBS in fields.get("include", ()) else None,
        **(_STREAMED if fields.get("stream") else {}),
    }
    return chat | {name: value for name, value in asked.items() if value is not None}


def idle_fields(fields: Mapping[str, Any]) -> list[str]:
    """The fields that are taken though they have no effect, as the answer says."""
    idle = {
        "store": fields.get("store"),
        "truncation": fields.get("truncation") == "auto",
        "include": set(fields.get("include", ())) - {LOGPROBS},
    }
    return [name for name, is_idle in idle.items() if is_idle]


def text_format(fields: Mapping[str, Any]) -> Json:
    """How the text of the answer is to look."""
    format_ = object_of(fields, "text").get("format")
    if format_ is None:
        return {"type": "text"}
    if not isinstance(format_, dict):
        raise bad_request("`text.format` must be an object.", param="text.format")
    return format_


def _refuse(fields: Mapping[str, Any]) -> None:
    for name in _STORED:
        if fields.get(name):
            raise bad_request(
                f"`{name}` can't be used, because llamaq stores nothing: send the whole "
                "conversation in `input`.",
                param=name,
            )
    if fields.get("background"):
        raise bad_request(
            "`background` can't be true, because llamaq stores no answers: wait for this one, or "
            "stream it.",
            param="background",
        )


def _response_format(format_: Json) -> Json | None:
    kind = format_.get("type")
    if kind == "text":
        return None
    if kind == "json_object":
        return {"type": kind}
    if kind != "json_schema":
        raise bad_request(
            "`text.format.type` must be one of text, json_object, json_schema.",
            param="text.format.type",
        )
    if not isinstance(format_.get("schema"), dict):
        raise bad_request("`text.format.schema` must be an object.", param="text.format.schema")
    named = {name: value for name, value in format_.items() if name != "type"}
    return {"type": kind, kind: named}
