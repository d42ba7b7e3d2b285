"""The tools of a request for a message, as a chat has them. Pure."""

from collections.abc import Mapping
from typing import Any

from api.errors import ApiError, bad_request

Json = dict[str, Any]

_MODES = {"auto": "auto", "any": "required", "none": "none"}
# What a chat calls a thing -> what Anthropic calls it.
_NAMES = (
    (".function.parameters", ".input_schema"),
    (".function.", "."),
    ("response_format.json_schema", "output_config.format"),
)


def chat_tools(fields: Mapping[str, Any]) -> Json:
    """`tools`, `tool_choice` and `parallel_tool_calls` of a chat, as far as they are given.

    llama-server knows no `none` here, and takes `tool` for `any`: a chat knows both. Raises an
    `ApiError` 400, also for the tools that Anthropic itself runs.
    """
    found: Json = {}
    if "tools" in fields:
        tools = fields["tools"]
        if not isinstance(tools, list):
            raise bad_request("`tools` must be a list.", param="tools")
        found["tools"] = [_tool(tool, f"tools[{i}]") for i, tool in enumerate(tools)]
    if "tool_choice" in fields:
        found |= _choice(fields["tool_choice"])
    return found


def in_anthropics_words(error: ApiError) -> ApiError:
    """An error of a chat, with Anthropic's names of the fields."""
    for chats, ours in _NAMES:
        error.message = error.message.replace(chats, ours)
        error.param = error.param and error.param.replace(chats, ours)
    return error


def _tool(tool: Any, where: str) -> Json:
    if not isinstance(tool, dict):
        raise bad_request(f"`{where}` must be an object.", param=where)
    kind = tool.get("type") or "custom"
    if kind != "custom":
        raise bad_request(
            f"`{where}.type` names a tool of Anthropic's, '{kind!s:.64}', which no llama-server "
            "runs: leave it out, or describe a tool of yours with `name` and `input_schema`.",
            param=f"{where}.type",
        )
    name, description = tool.get("name"), tool.get("description")
    if not isinstance(name, str) or not name:
        raise bad_request(f"`{where}.name` must be a string.", param=f"{where}.name")
    function = {
        "name": name,
        "description": "" if description is None else description,  # as llama-server has it
        "parameters": _schema(tool.get("input_schema"), f"{where}.input_schema"),
    }
    return {"type": "function", "function": function}


def _schema(schema: Any, where: str) -> Json:
    if not isinstance(schema, dict | None):
        raise bad_request(f"`{where}` must be a JSON schema, an object.", param=where)
    return schema or {}


def _choice(choice: Any) -> Json:
    kind = choice.get("type") if isinstance(choice, dict) else None
    if kind == "tool":
        name = choice.get("name")
        if not isinstance(name, str) or not name:
            raise bad_request("`tool_choice.name` must be a string.", param="tool_choice.name")
        chosen: Any = {"type": "function", "function": {"name": name}}
    elif isinstance(kind, str) and kind in _MODES:
        chosen = _MODES[kind]
    else:
        raise bad_request(
            "`tool_choice.type` must be one of auto, any, tool, none.", param="tool_choice.type"
        )
    found = {"tool_choice": chosen}
    alone = choice.get("disable_parallel_tool_use")
    if not isinstance(alone, bool | None):
        where = "tool_choice.disable_parallel_tool_use"
        raise bad_request(f"`{where}` must be true or false.", param=where)
    return found | ({"parallel_tool_calls": False} if alone else {})
