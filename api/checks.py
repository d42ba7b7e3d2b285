"""Checks the other fields of a chat, where llama-server would ignore a mistake or say 500. Pure."""

from collections.abc import Mapping
from typing import Any

from api.errors import bad_request
from api.messages import function_of, without_nulls

Kinds = type | tuple[type, ...]

# A JSON number without a fraction; bool is an int only to Python.
WORDS: dict[Kinds, str] = {
    bool: "true or false",
    str: "a string",
    int: "a whole number",
    (int, float): "a number",
    dict: "an object",
    list: "a list",
    (str, dict): "a string or an object",
    (str, list): "a string or a list of strings",
}

TYPES: dict[str, Kinds] = {
    "stream": bool,
    "stream_options": dict,
    "return_progress": bool,
    "timings_per_token": bool,
    "n": int,
    "n_cmpl": int,
    "n_predict": int,
    "max_tokens": int,
    "max_completion_tokens": int,
    "seed": int,
    "temperature": (int, float),
    "top_p": (int, float),
    "presence_penalty": (int, float),
    "frequency_penalty": (int, float),
    "logprobs": bool,
    "top_logprobs": int,
    "n_probs": int,
    "tools": list,
    "tool_choice": (str, dict),
    "response_format": dict,
    "stop": (str, list),
    "prompt_cache_key": str,
}

LARGEST_INT = 2**31 - 1
RANGES = {
    "n_predict": (-1, LARGEST_INT),
    "max_tokens": (-1, LARGEST_INT),
    "max_completion_tokens": (-1, LARGEST_INT),
    "top_logprobs": (0, 20),
    "n_probs": (0, 20),
}


def check_fields(fields: Mapping[str, Any]) -> None:
    """Raise an `ApiError` 400 for the first field of a wrong type, range or company."""
    for name, kinds in TYPES.items():
        if name in fields and not _is(fields[name], kinds):
            raise bad_request(f"`{name}` must be {WORDS[kinds]}.", param=name)
    for name, (least, most) in RANGES.items():
        if name in fields and not least <= fields[name] <= most:
            raise bad_request(f"`{name}` must be from {least} to {most}.", param=name)
    if "stream_options" in fields:
        _check_stream_options(fields)
    if not all(isinstance(text, str) for text in fields.get("stop", [])):
        raise bad_request("`stop` must be a string or a list of strings.", param="stop")


def checked_tools(tools: list[Any], fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The tools without their null fields (llama-server knows no null description), or a 400."""
    if tools and (fields.get("logprobs") or fields.get("n_probs")):
        raise bad_request("`logprobs` can't be combined with `tools`.", param="logprobs")
    return [_tool(tool, f"tools[{i}]") for i, tool in enumerate(tools)]


def _check_stream_options(fields: Mapping[str, Any]) -> None:
    if not fields.get("stream"):
        raise bad_request(
            "`stream_options` is only for `stream: true`: leave it out.", param="stream_options"
        )
    if not isinstance(fields["stream_options"].get("include_usage"), bool | None):
        raise bad_request(
            "`stream_options.include_usage` must be true or false.",
            param="stream_options.include_usage",
        )


def _tool(tool: Any, where: str) -> dict[str, Any]:
    function = without_nulls(function_of(tool, where))
    if not isinstance(function.get("description", ""), str):
        raise bad_request(
            f"`{where}.function.description` must be a string.",
            param=f"{where}.function.description",
        )
    return {**without_nulls(tool), "function": function}


def _is(value: Any, kinds: Kinds) -> bool:
    if isinstance(value, bool):
        return kinds is bool
    return isinstance(value, kinds)
