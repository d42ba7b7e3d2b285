"""A chat request: what the dispatcher must know of it, and the body for llama-server. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from api.body import parse_object
from api.cache_names import salt_of, with_key
from api.chat.estimate import prompt_tokens
from api.chat.fields import KNOWN, checked_fields, forwarded
from api.chat.messages import checked_messages, modalities, prefill
from api.chat.prefix import chain, head_of
from api.chat.tools import checked_tools, chosen
from api.endpoint import Work
from api.errors import bad_request
from api.estimate import completion_tokens
from api.json_text import compact
from api.output_limit import output_limit
from api.request_fields import (
    body_of_choice,
    choices_each,
    model_name,
    wants_of,
)
from api.sampling_fields import check_context
from api.settings import ApiSettings
from api.unknown_fields import NONE, Unknown, unknown_fields
from dispatcher.needs import Needs


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A checked chat request (`api.endpoint.Asked`). `max_tokens` is None where the client has set
    no limit, `cache_key` where it has named none.

    `prefill` is what the assistant has said already: an answer that is not streamed repeats it.
    `details` are fields by which llama-server tells more, which no client of a chat may set.
    """

    model: str
    stream: bool
    choices: int
    needs: Needs
    include_usage: bool
    return_progress: bool
    timings_per_token: bool
    max_tokens: int | None
    cache_key: str | None
    prefill: str = field(repr=False)
    fields: Mapping[str, Any] = field(repr=False)
    unknown: Unknown = field(default=NONE, repr=False)
    details: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def of_model(self, model: str, context: int) -> "ChatRequest":
        """See `api.endpoint.Asked`."""
        check_context(self.fields, context)
        if model == self.model:
            return self
        return replace(self, model=model, fields={**self.fields, "model": model})

    def work(self, subject: str, mean_completion: float, user: str = "") -> Work:
        """See `api.endpoint.Asked`."""
        head, messages = head_of(self.fields), self.fields["messages"]
        return Work(
            model=self.model,
            bodies=[self.upstream_body(choice) for choice in range(self.choices)],
            choices=self.choices,
            wants=wants_of(
                stream=self.stream,
                usage=self.include_usage,
                progress=self.return_progress,
                timings=self.timings_per_token,
            ),
            needs=self.needs,
            prompt_tokens=prompt_tokens(head, messages),
            completion_tokens=completion_tokens(self.max_tokens, mean_completion),
            prefixes=with_key(
                chain(head, messages, salt_of(subject, user)), subject, self.cache_key
            ),
        )

    def upstream_body(self, choice: int = 0) -> bytes:
        """The JSON for llama-server that makes choice number `choice`, always streamed."""
        fields = {**self.unknown.passed, **self.details, **forwarded(self.fields)}
        if not self.stream and self.fields["messages"][-1]["role"] == "assistant":
            fields["echo"] = True  # what it has said already is part of what the server parses
        return compact(body_of_choice(fields, choice))


def parse_chat(body: bytes, settings: ApiSettings) -> ChatRequest:
    """What `body` asks for, or an `ApiError` 400 that names the field and says what to do."""
    fields = parse_object(body, settings.max_json_depth)
    unknown = unknown_fields(fields, KNOWN, settings)
    return chat_of(fields, settings, unknown)


def chat_of(said: Mapping[str, Any], settings: ApiSettings, unknown: Unknown = NONE) -> ChatRequest:
    """The request that these fields of a chat make, or an `ApiError` 400. None of them is null.

    `unknown` are other fields of the request.
    """
    model = model_name(said)
    fields = checked_fields(said)
    fields["messages"] = checked_messages(fields.get("messages"))
    fields |= _tools(fields)
    options = fields.get("stream_options", {})
    return ChatRequest(
        model=model,
        stream=fields.get("stream", False),
        choices=choices_each(fields, settings.max_choices),
        needs=Needs(modalities(fields["messages"])),
        include_usage=bool(options.get("include_usage")),
        return_progress=fields.get("return_progress", False),
        timings_per_token=fields.get("timings_per_token", False),
        max_tokens=output_limit(fields),
        cache_key=fields.get("prompt_cache_key"),
        prefill=prefill(fields["messages"]),
        fields=fields,
        unknown=unknown,
    )


def _tools(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The tools that may be called, and whether one must be; nothing where there are none."""
    found: dict[str, Any] = {}
    if "tools" in fields:
        found["tools"] = checked_tools(fields["tools"])
        if found["tools"] and (fields.get("logprobs") or fields.get("n_probs")):
            raise bad_request("`logprobs` can't be combined with `tools`.", param="logprobs")
    if "tool_choice" in fields:
        tools, found["tool_choice"] = chosen(found.get("tools", []), fields["tool_choice"])
        if "tools" in found:
            found["tools"] = tools
    return found
