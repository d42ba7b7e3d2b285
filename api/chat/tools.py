"""Which tools a model may call: `tools` and `tool_choice`, as llama-server understands them. Pure.

llama-server knows the choices `none`, `auto` and `required`, and ignores all else. So where a
client names tools, it gets only these, and whether one of them must be called.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from api.chat.messages import function_of
from api.errors import ApiError, bad_request
from api.grammar.schema import check_schema
from api.json_text import canonical
from api.request_fields import without_nulls

MOST_BYTES = 2**20
MODES = ("none", "auto", "required")
_NAME = '{"type": "function", "function": {"name": …}}'
_FORMS = f'"none", "auto", "required", {_NAME}, or {{"type": "allowed_tools", "allowed_tools": …}}'

Tool = dict[str, Any]
Tools = Sequence[Tool]


def checked_tools(tools: Sequence[Any]) -> list[Tool]:
    """The tools without their null fields (llama-server knows no null description), or a 400."""
    checked = [_tool(tool, f"tools[{i}]") for i, tool in enumerate(tools)]
    if len(canonical(checked)) > MOST_BYTES:
        raise bad_request(f"`tools` must have {MOST_BYTES} bytes at most.", param="tools")
    return checked


def chosen(tools: Tools, choice: Any) -> tuple[list[Tool], str]:
    """The tools that may be called, and one of `MODES`; an `ApiError` 400 for a bad choice.

    `tools` are checked.
    """
    if isinstance(choice, str) and choice in MODES:
        return list(tools), choice
    kind = choice.get("type") if isinstance(choice, Mapping) else None
    if kind == "function":
        name = function_of(choice, "tool_choice")["name"]
        return _named(tools, {name}, "tool_choice.function.name"), "required"
    if kind == "allowed_tools":
        return _allowed(tools, choice.get("allowed_tools"))
    raise bad_request(f"`tool_choice` must be {_FORMS}.", param="tool_choice")


def _tool(tool: Any, where: str) -> Tool:
    function = without_nulls(function_of(tool, where))
    if not isinstance(function.get("description", ""), str):
        raise bad_request(
            f"`{where}.function.description` must be a string.",
            param=f"{where}.function.description",
        )
    check_schema(function.get("parameters"), f"{where}.function.parameters")
    return {**without_nulls(tool), "function": function}


def _allowed(tools: Tools, allowed: Any) -> tuple[list[Tool], str]:
    where = "tool_choice.allowed_tools"
    if not isinstance(allowed, Mapping):
        raise bad_request(f"`{where}` must be an object.", param=where)
    mode, listed = allowed.get("mode"), allowed.get("tools")
    if mode not in ("auto", "required"):
        raise bad_request(f'`{where}.mode` must be "auto" or "required".', param=f"{where}.mode")
    if not isinstance(listed, list) or not listed:
        raise bad_request(
            f"`{where}.tools` must be a list of one or more of {_NAME}.", param=f"{where}.tools"
        )
    names = {function_of(tool, f"{where}.tools[{i}]")["name"] for i, tool in enumerate(listed)}
    return _named(tools, names, f"{where}.tools"), mode


def _named(tools: Tools, names: set[str], where: str) -> list[Tool]:
    found = [tool for tool in tools if tool["function"]["name"] in names]
    unknown = names - {tool["function"]["name"] for tool in found}
    if unknown:
        raise _unknown(min(unknown), tools, where)
    return found


def _unknown(name: str, tools: Tools, where: str) -> ApiError:
    known = ", ".join(tool["function"]["name"] for tool in tools) or "none"
    return bad_request(
        f"`{where}` names the function '{name:.64}', which is not one of `tools`. "
        f"They have: {known:.256}.",
        param=where,
    )
