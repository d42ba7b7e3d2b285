"""A chat request: what the dispatcher must know of it, and the body for llama-server. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from api.body import parse_object
from api.chat.estimate import completion_tokens, prompt_tokens
from api.chat.fields import check_context, checked_fields, forwarded
from api.chat.messages import checked_messages, modalities, prefill, without_nulls
from api.chat.prefix import MOST, chain, head_of, key_name
from api.chat.tools import checked_tools, chosen
from api.endpoint import Work
from api.errors import bad_request
from api.json_text import compact
from api.settings import ApiSettings
from dispatcher.job import Want
from dispatcher.needs import Needs

MAX_MODEL_CHARS = 256

OUTPUT_LIMITS = ("n_predict", "max_completion_tokens", "max_tokens")  # the first present wins
RANDOM_SEED = 2**32 - 1  # llama-server's "take any"


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A checked chat request (`api.endpoint.Asked`). `max_tokens` is None where the client has set
    no limit, `cache_key` where it has named none.

    `prefill` is what the assistant has said already: a llama-server repeats it in an answer that
    is not streamed, and only there.
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

    def of_model(self, model: str, context: int) -> "ChatRequest":
        """See `api.endpoint.Asked`."""
        check_context(self.fields, context)
        if model == self.model:
            return self
        return replace(self, model=model, fields={**self.fields, "model": model})

    def work(self, subject: str, mean_completion: float) -> Work:
        """See `api.endpoint.Asked`."""
        head, messages = head_of(self.fields), self.fields["messages"]
        names = chain(head, messages)
        if self.cache_key is not None:
            names = [*names[: MOST - 1], key_name(subject, self.cache_key)]
        return Work(
            model=self.model,
            bodies=[self.upstream_body(choice) for choice in range(self.choices)],
            wants=self._wants(),
            needs=self.needs,
            prompt_tokens=prompt_tokens(head, messages),
            completion_tokens=completion_tokens(self.max_tokens, mean_completion),
            prefixes=tuple(names),
        )

    def upstream_body(self, choice: int = 0) -> bytes:
        """The JSON for llama-server that makes choice number `choice`, always streamed."""
        body = forwarded(self.fields) | {
            "stream": True,
            "stream_options": {"include_usage": True},
            "return_progress": True,
            "timings_per_token": True,
        }
        seed = body.get("seed")
        if choice and seed is not None and seed % 2**32 != RANDOM_SEED:
            body["seed"] = (seed + choice) % 2**32  # as llama-server seeds its own choices
        return compact(body)

    def _wants(self) -> frozenset[Want]:
        """What the bridge should pass on. An answer in one piece always tells its usage."""
        if not self.stream:
            return frozenset({Want.USAGE})
        asked = {
            Want.STREAM: True,
            Want.USAGE: self.include_usage,
            Want.PROGRESS: self.return_progress,
            Want.TIMINGS: self.timings_per_token,
        }
        return frozenset(want for want, yes in asked.items() if yes)


def parse_chat(body: bytes, settings: ApiSettings) -> ChatRequest:
    """What `body` asks for, or an `ApiError` 400 that names the field and says what to do."""
    return chat_of(parse_object(body, settings.max_json_depth), settings)


def chat_of(said: Mapping[str, Any], settings: ApiSettings) -> ChatRequest:
    """The request that these fields of a chat make, or an `ApiError` 400; nulls are left out."""
    fields = without_nulls(said)
    model = _model(fields.get("model"))
    fields = checked_fields(fields)
    fields["messages"] = checked_messages(fields.get("messages"))
    fields |= _tools(fields)
    options = _stream_options(fields)
    return ChatRequest(
        model=model,
        stream=fields.get("stream", False),
        choices=_choices(fields, settings.max_choices),
        needs=Needs(modalities(fields["messages"])),
        include_usage=bool(options.get("include_usage")),
        return_progress=fields.get("return_progress", False),
        timings_per_token=fields.get("timings_per_token", False),
        max_tokens=_max_tokens(fields),
        cache_key=fields.get("prompt_cache_key"),
        prefill=prefill(fields["messages"]),
        fields=fields,
    )


def _model(model: Any) -> str:
    if not isinstance(model, str) or not 0 < len(model) <= MAX_MODEL_CHARS:
        raise bad_request("`model` must be a model's name: see /v1/models.", param="model")
    return model


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


def _stream_options(fields: Mapping[str, Any]) -> dict[str, Any]:
    if "stream_options" in fields and not fields.get("stream"):
        raise bad_request(
            "`stream_options` is only for `stream: true`: leave it out.", param="stream_options"
        )
    options: dict[str, Any] = fields.get("stream_options", {})
    return options


def _choices(fields: Mapping[str, Any], most: int) -> int:
    name = "n" if "n" in fields else "n_cmpl"
    choices: int = fields.get(name, 1)
    if not 1 <= choices <= most:
        raise bad_request(f"`{name}` must be from 1 to {most}.", param=name)
    return choices


def _max_tokens(fields: Mapping[str, Any]) -> int | None:
    for name in OUTPUT_LIMITS:
        if name in fields:
            limit = int(fields[name])
            return None if limit == -1 else limit
    return None
