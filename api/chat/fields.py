"""The fields of a chat request: what each may hold, and which of them reach llama-server. Pure.

Those that it shares with others are in `api.sampling_fields`. Bounds of its own, measured on
llama.cpp b11549:

field                     what hurts                                        bound
messages                  10,000 take 5 s                                   4,096
chat_template_kwargs      10,000 keys take 1.6 s, 10 MB 0.5 s               256 keys, 64 KiB
"""

from collections.abc import Mapping
from typing import Any

from api.errors import bad_request
from api.grammar.schema import ResponseFormat
from api.rules import Flag, Items, Kwargs, Rule, Text, Whole, Word
from api.sampling_fields import LIMIT, OWN, SAMPLING, TERMS, known_fields

MAX_MESSAGES = 4096
MAX_TOOLS = 512

# What llama-server reads and honours.
FORWARDED: Mapping[str, Rule] = {
    "messages": Items(MAX_MESSAGES),
    "tools": Items(MAX_TOOLS),
    "parallel_tool_calls": Flag(),
    "chat_template_kwargs": Kwargs(256, 65_536),
    "reasoning_effort": Text(64),
    "reasoning_format": Word(("none", "auto", "deepseek", "deepseek-legacy")),
    "reasoning_budget_tokens": LIMIT,
    "thinking_budget_tokens": LIMIT,
    "reasoning_budget_message": Text(4096),
    "add_generation_prompt": Flag(),
    "continue_final_message": Word((True, False, "content", "reasoning_content")),
    "echo": Flag(),
    "response_format": ResponseFormat(),
    "logprobs": Flag(),
    "top_logprobs": Whole(0, 20),
    **SAMPLING,
}

# `api/chat/tools.py` checks and rewrites the first one.
ELSEWHERE = ("tool_choice", *TERMS)
_RULES: Mapping[str, Rule] = {**FORWARDED, **OWN}
FIELDS: Mapping[str, Rule | None] = {**_RULES, **dict.fromkeys(ELSEWHERE)}
KNOWN = frozenset(FIELDS)


def checked_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that we know, with checked values; an `ApiError` 400 names the first bad one."""
    checked = known_fields(fields, _RULES, ELSEWHERE)
    if checked.get("grammar") and "json_schema" in checked:
        raise bad_request("`grammar` can't be combined with `json_schema`.", param="grammar")
    return checked


def forwarded(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the checked fields that llama-server gets to see."""
    return {
        name: value for name, value in fields.items() if name in FORWARDED or name == "tool_choice"
    }
