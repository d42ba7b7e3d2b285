"""A Responses request: the chat that asks for the same, and what its answer repeats. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from api.body import parse_object
from api.chat.request import ChatRequest, chat_of
from api.endpoint import Work
from api.errors import ApiError, bad_request
from api.json_text import compact
from api.responses.fields import CHAT_NAMES, KNOWN, chat_fields, idle_fields, text_format
from api.responses.items import Conversation, read_input
from api.responses.tools import Tool, Toolbox, read_choice, read_tools
from api.settings import ApiSettings
from api.unknown_fields import Unknown, unknown_fields
from dispatcher.needs import Needs

MOST_REPEATED_BYTES = 131_072
"""An answer repeats no field that is larger: a request that runs must not hold its own body."""

_NOT_HONOURED = {"background": False, "store": False, "truncation": "disabled"}
_DEFAULTS: Mapping[str, Any] = {
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": None,
    "user": None,
    **_NOT_HONOURED,
}


@dataclass(frozen=True, slots=True)
class ResponsesRequest:
    """A checked request (`api.endpoint.Asked`), answered by what answers its `chat`.

    `repeated` are the fields of its answer that it has set, as JSON without the braces. `tools` are
    those whose calls look different than in a chat, by the names that the model knows. Its stream
    tells of the prompt's progress where it `tells_progress`.
    """

    chat: ChatRequest
    repeated: bytes = field(repr=False)
    tools: Mapping[str, Tool] = field(repr=False)
    tells_progress: bool

    @property
    def model(self) -> str:
        """See `api.endpoint.Asked`."""
        return self.chat.model

    @property
    def stream(self) -> bool:
        """See `api.endpoint.Asked`."""
        return self.chat.stream

    @property
    def choices(self) -> int:
        """See `api.endpoint.Asked`."""
        return 1

    @property
    def needs(self) -> Needs:
        """See `api.endpoint.Asked`."""
        return self.chat.needs

    @property
    def fields(self) -> Mapping[str, Any]:
        """See `api.endpoint.Asked`."""
        return self.chat.fields

    @property
    def unknown(self) -> Unknown:
        """See `api.endpoint.Asked`."""
        return self.chat.unknown

    def of_model(self, model: str, context: int) -> "ResponsesRequest":
        """See `api.endpoint.Asked`."""
        return replace(self, chat=self.chat.of_model(model, context))

    def work(self, subject: str, mean_completion: float, user: str = "") -> Work:
        """See `api.endpoint.Asked`."""
        return self.chat.work(subject, mean_completion, user)


def parse_responses(body: bytes, settings: ApiSettings) -> ResponsesRequest:
    """What `body` asks for, or an `ApiError` 400 that names the field and says what to do."""
    fields = parse_object(body, settings.max_json_depth)
    chat = chat_fields(fields)
    unknown = unknown_fields(fields, KNOWN, settings, idle_fields(fields))
    if "user" in chat and "user" not in fields:
        unknown = unknown._replace(clients={"user": "safety_identifier"})
    conversation = Conversation()
    if "instructions" in fields:
        parts = [{"type": "text", "text": fields["instructions"]}]
        conversation.instruct("system", parts, "instructions")
    if "input" not in fields:
        raise bad_request("`input` is missing: it must be a string or a list.", param="input")
    read_input(fields["input"], conversation)
    chat["messages"] = conversation.messages
    box = read_tools(fields.get("tools", []))
    if box.chat:
        chat["tools"] = box.chat
    if "tool_choice" in fields:
        chat["tool_choice"] = read_choice(fields["tool_choice"], box)
    try:
        asked = chat_of(chat, settings, unknown)
    except ApiError as error:
        raise _renamed(error, {**CHAT_NAMES, **conversation.origins, **box.origins}) from error
    tells_progress = fields.get("return_progress") is True
    return ResponsesRequest(asked, _repeated(fields, box), box.known, tells_progress)


def _renamed(error: ApiError, names: Mapping[str, str]) -> ApiError:
    """The error of a chat, with the names that its fields have in this API."""
    param = error.param or ""
    end = next((end for end in _ends(param) if param[:end] in names), 0)
    if not end:
        return error
    shown = names[param[:end]] + param[end:].replace(".image_url.url", ".image_url")
    error.param = shown
    error.message = error.message.replace(f"`{param}`", f"`{shown}`")
    return error


def _ends(param: str) -> list[int]:
    """The places where a shorter name may end in `param`, the last place first.

    >>> _ends("tools[0].name")
    [13, 8, 5]
    """
    marks = [i for i, mark in enumerate(param) if mark in ".["]
    return [len(param), *reversed(marks)]


def _repeated(fields: Mapping[str, Any], box: Toolbox) -> bytes:
    """What the official client's model of an answer wants to find in it."""
    said = {name: fields[name] for name in _DEFAULTS if name in fields} | {
        "tools": box.shown,
        "text": {"format": text_format(fields)},
        "reasoning": {"effort": fields.get("reasoning", {}).get("effort"), "summary": None},
        **_NOT_HONOURED,
    }
    pairs = []
    for name, default in _DEFAULTS.items():
        value = compact(said.get(name, default))
        fits = len(value) <= MOST_REPEATED_BYTES
        pairs.append(b'"%b":%b' % (name.encode(), value if fits else compact(default)))
    return b",".join(pairs)
