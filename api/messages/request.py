"""Reads a request for a message as the request for a chat that it stands for. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from api.body import parse_object
from api.chat.fields import FIELDS as CHAT_FIELDS
from api.chat.request import ChatRequest, chat_of
from api.errors import ApiError, bad_request
from api.messages import stopping
from api.messages.conversation import chat_messages
from api.messages.tools import chat_tools, in_anthropics_words
from api.request_fields import object_of
from api.rules import Rule, Text, Texts, Whole, Word
from api.sampling_fields import SAMPLING
from api.settings import ApiSettings
from api.terms import MAX_USER_CHARS
from api.unknown_fields import unknown_fields

Json = dict[str, Any]

USUAL_MAX_TOKENS = 4096
USUAL_BUDGET_TOKENS = 10_000
_STOPS = Texts(128, 1024)
_BUDGET = Whole(0, 2**31 - 1)
_USER = Text(MAX_USER_CHARS)
_SPEED = Word(("standard", "fast"))
_THINKING = ("enabled", "disabled", "adaptive", "between_tools")
_EFFORTS = {"low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}
# What a message says in other words, or what would make another answer of it.
_CHATS_OWN = frozenset(
    {
        *("stop", "json_schema", "n_predict", "max_completion_tokens"),
        *("n_probs", "post_sampling_probs"),
    }
)
_SAME = (SAMPLING.keys() - _CHATS_OWN) | {
    *("stream", "service_tier", "prompt_cache_key", "chat_template_kwargs"),
    *("reasoning_effort", "reasoning_budget_tokens", "reasoning_budget_message"),
}
FIELDS: Mapping[str, Rule | None] = {
    **{name: CHAT_FIELDS[name] for name in sorted(_SAME)},
    "stop_sequences": _STOPS,
    "speed": _SPEED,
    **dict.fromkeys(("system", "messages", "tools", "tool_choice", "thinking")),
    **dict.fromkeys(("output_config", "metadata")),
}
_KNOWN = frozenset(FIELDS)


def parse_message(body: bytes, settings: ApiSettings) -> ChatRequest:
    """What `body` asks for, or an `ApiError` 400 that names the field and says what to do.

    Fields that neither Anthropic's API nor llama-server knows, or only Anthropic's, are left out.
    """
    fields = parse_object(body, settings.max_json_depth)
    chat = {name: fields[name] for name in _SAME & fields.keys()}
    chat["messages"] = chat_messages(fields.get("system"), fields.get("messages"))
    chat.setdefault("max_tokens", USUAL_MAX_TOKENS)
    for translate in (chat_tools, _stop, _thinking, _output, _user, _tier, _stream):
        chat |= translate(fields)
    unknown = unknown_fields(fields, _KNOWN, settings)
    if "user" in chat:
        unknown = unknown._replace(clients={"user": "metadata"})
    try:
        asked = chat_of(chat, settings, unknown)
    except ApiError as error:
        raise in_anthropics_words(error) from error
    return replace(asked, details=stopping.ASKED) if chat.get("stop") else asked


def _stop(fields: Mapping[str, Any]) -> Json:
    if "stop_sequences" not in fields:
        return {}
    return {"stop": _STOPS.checked(fields["stop_sequences"], "stop_sequences")}


def _thinking(fields: Mapping[str, Any]) -> Json:
    """llama-server takes no heed of `disabled`: a chat can say it to its template."""
    thinking = object_of(fields, "thinking")
    kind = thinking.get("type")
    if kind == "enabled":
        budget = thinking.get("budget_tokens", USUAL_BUDGET_TOKENS)
        return {"thinking_budget_tokens": _BUDGET.checked(budget, "thinking.budget_tokens")}
    if kind == "disabled":
        named = object_of(fields, "chat_template_kwargs")
        return {"chat_template_kwargs": {"enable_thinking": False, **named}}
    if "thinking" in fields and kind not in _THINKING:
        allowed = ", ".join(_THINKING)
        raise bad_request(f"`thinking.type` must be one of {allowed}.", param="thinking.type")
    return {}


def _output(fields: Mapping[str, Any]) -> Json:
    config = object_of(fields, "output_config")
    found: Json = {}
    effort, form = config.get("effort"), config.get("format")
    if effort is not None:
        if not isinstance(effort, str) or effort not in _EFFORTS:
            allowed, where = ", ".join(_EFFORTS), "output_config.effort"
            raise bad_request(f"`{where}` must be one of {allowed}.", param=where)
        found["reasoning_effort"] = _EFFORTS[effort]
    if form is not None:
        where = "output_config.format"
        if not isinstance(form, dict) or form.get("type") != "json_schema":
            raise bad_request(f'`{where}.type` must be "json_schema".', param=f"{where}.type")
        if not isinstance(form.get("schema"), dict):
            raise bad_request(f"`{where}.schema` must be an object.", param=f"{where}.schema")
        found["response_format"] = {
            "type": "json_schema",
            "json_schema": {"schema": form["schema"]},
        }
    return found


def _user(fields: Mapping[str, Any]) -> Json:
    user = object_of(fields, "metadata").get("user_id")
    return {} if user is None else {"user": _USER.checked(user, "metadata.user_id")}


def _tier(fields: Mapping[str, Any]) -> Json:
    """`speed` is how Claude Code asks for the most urgent tier."""
    speed = _SPEED.checked(fields.get("speed", "standard"), "speed")
    if fields.get("service_tier") == "standard_only":
        return {"service_tier": "default"}
    return {"service_tier": "priority"} if speed == "fast" else {}


def _stream(fields: Mapping[str, Any]) -> Json:
    """A stream of a message always tells its tokens, those of the prompt first."""
    if fields.get("stream") is not True:
        return {}
    return {"stream_options": {"include_usage": True}, "return_progress": True}
