"""Which tools a model may call: `tools` and `tool_choice`, as a chat has them. Pure.

A chat knows functions alone. So a namespace becomes the functions that it holds, and a custom tool
a function that takes one text. What the server of a client would run itself, such as a web search,
is left out: no llama-server has it. The answer's `tools` are those that are left.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from api.chat.tools import MODES
from api.errors import bad_request
from api.request_fields import without_nulls

MAX_TOOLS = 512
INPUT = "input"
"""The one parameter of a function that stands for a custom tool."""

_NAMED = ("function", "custom")
_CHOICE = '{"type": "function", "name": …}'
_FORMS = f'"none", "auto", "required", {_CHOICE}, or {{"type": "allowed_tools", …}}'

_GRAMMAR = ("syntax", "definition")
_ONE_TEXT = {
    "type": "object",
    "properties": {INPUT: {"type": "string"}},
    "required": [INPUT],
    "additionalProperties": False,
}

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Tool:
    """What a client calls a tool. A custom one takes a text that is no JSON."""

    name: str
    namespace: str = ""
    is_custom: bool = False

    @property
    def chat_name(self) -> str:
        """The name that the model gets to see.

        >>> Tool("get", "mcp__web").chat_name, Tool("get", "mcp__web__").chat_name
        ('mcp__web__get', 'mcp__web__get')
        """
        if not self.namespace:
            return self.name
        return f"{self.namespace.removesuffix('__')}__{self.name}"


@dataclass(slots=True)
class Toolbox:
    """The tools of a request: for a chat, and for the answer.

    `origins` say where a chat's tool stands in the request. `known` are those whose calls look
    different in an answer, by the names that the model knows.
    """

    chat: list[Json] = field(default_factory=list)
    shown: list[Json] = field(default_factory=list)
    origins: dict[str, str] = field(default_factory=dict)
    known: dict[str, Tool] = field(default_factory=dict)

    def add(self, tool: Tool, function: Json, where: str) -> None:
        """Takes one that the model may call."""
        name = f"tools[{len(self.chat)}]"
        self.origins |= {name: where, f"{name}.function": where}
        self.chat.append({"type": "function", "function": {**function, "name": tool.chat_name}})
        if tool.is_custom or tool.namespace:
            self.known.setdefault(tool.chat_name, tool)


def read_tools(tools: Any) -> Toolbox:
    """Those that the model may call, or an `ApiError` 400."""
    if not isinstance(tools, list) or len(tools) > MAX_TOOLS:
        raise bad_request(f"`tools` must be a list of {MAX_TOOLS} tools at most.", param="tools")
    box = Toolbox()
    for i, tool in enumerate(tools):
        where = f"tools[{i}]"
        kind = _type_of(tool, where)
        if kind == "namespace":
            _add_namespace(box, without_nulls(tool), where)
        elif kind in _NAMED:
            box.shown.append(_add(box, without_nulls(tool), where))
    return box


def read_choice(choice: Any, box: Toolbox) -> Any:
    """A chat's `tool_choice` that says the same, or an `ApiError` 400."""
    if choice in MODES:
        if choice == "required" and not box.chat:
            raise bad_request(
                "`tool_choice` is required, but `tools` has no function that the model could call.",
                param="tool_choice",
            )
        return choice
    kind = choice.get("type") if isinstance(choice, Mapping) else None
    if kind == "allowed_tools":
        listed = choice.get("tools")
        if not isinstance(listed, list):
            raise bad_request("`tool_choice.tools` must be a list.", param="tool_choice.tools")
        tools = [_named(tool, f"tool_choice.tools[{i}]") for i, tool in enumerate(listed)]
        return {"type": kind, kind: {"mode": choice.get("mode"), "tools": tools}}
    if kind not in _NAMED:
        raise bad_request(
            f"`tool_choice` must be {_FORMS}. llama-servers run no tools themselves.",
            param="tool_choice",
        )
    return _named(choice, "tool_choice")


def tool_of(item: Mapping[str, Any], where: str, *, is_custom: bool = False) -> Tool:
    """The tool that something names, or an `ApiError` 400."""
    name, namespace = item.get("name"), item.get("namespace") or ""
    if not isinstance(name, str) or not name:
        raise bad_request(f"`{where}.name` must be a string.", param=f"{where}.name")
    if not isinstance(namespace, str):
        raise bad_request(f"`{where}.namespace` must be a string.", param=f"{where}.namespace")
    return Tool(name, namespace, is_custom)


def _type_of(tool: Any, where: str) -> str:
    kind = tool.get("type") if isinstance(tool, Mapping) else None
    if not isinstance(kind, str):
        raise bad_request(
            f'`{where}.type` must be a string, such as "function".', param=f"{where}.type"
        )
    return kind


def _add_namespace(box: Toolbox, space: Json, where: str) -> None:
    tools = space.get("tools")
    if not isinstance(tools, list) or len(tools) + len(box.chat) > MAX_TOOLS:
        raise bad_request(
            f"`{where}.tools` must be a list, and all tools no more than {MAX_TOOLS}.",
            param=f"{where}.tools",
        )
    namespace = tool_of(space, where).name
    shown: list[Json] = []
    intro = _text(space, "description", where)  # of them all: the first one says it
    for i, tool in enumerate(tools):
        inner = f"{where}.tools[{i}]"
        if _type_of(tool, inner) in _NAMED:
            shown.append(_add(box, without_nulls(tool), inner, namespace, "" if shown else intro))
    box.shown.append({"description": "", **space, "tools": shown})


def _add(box: Toolbox, tool: Json, where: str, namespace: str = "", intro: str = "") -> Json:
    """Takes a function or a custom tool, and returns it as the answer shows it."""
    is_custom = tool["type"] == "custom"
    named = tool_of({**tool, "namespace": namespace}, where, is_custom=is_custom)
    described = [intro, _text(tool, "description", where)]
    function: Json = {"strict": True, **tool}
    del function["type"]
    if is_custom:
        described.append(_grammar(tool, where))
        function = {"parameters": _ONE_TEXT}
    if description := "\n\n".join(filter(None, described)):
        function["description"] = description
    box.add(named, function, where)
    return tool if is_custom else {"parameters": None, "strict": True, **tool}


def _grammar(tool: Json, where: str) -> str:
    """What a custom tool takes, in words for the model."""
    format_ = tool.get("format", {})
    if not isinstance(format_, Mapping):
        raise bad_request(f"`{where}.format` must be an object.", param=f"{where}.format")
    if format_.get("type") != "grammar":
        return ""
    syntax, definition = (_text(format_, name, f"{where}.format") for name in _GRAMMAR)
    return f"The input must match this grammar ({syntax}):\n{definition}"


def _text(item: Mapping[str, Any], name: str, where: str) -> str:
    text = item.get(name, "")
    if not isinstance(text, str):
        raise bad_request(f"`{where}.{name}` must be a string.", param=f"{where}.{name}")
    return text


def _named(choice: Any, where: str) -> Json:
    kind = _type_of(choice, where)
    if kind not in _NAMED:
        raise bad_request(
            f"`{where}.type` must be one of {', '.join(_NAMED)}: llama-servers run no tools "
            "themselves.",
            param=f"{where}.type",
        )
    return {"type": "function", "function": {"name": tool_of(choice, where).chat_name}}
