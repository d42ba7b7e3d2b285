"""A request in llama.cpp's own form: what the dispatcher must know of it, and its bodies. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from api.cache_names import salt_of, with_key
from api.endpoint import Work
from api.estimate import completion_tokens
from api.json_text import compact
from api.native.fields import KNOWN, checked_fields, forwarded
from api.output_limit import output_limit
from api.prompts import Prompt, beginnings
from api.request_fields import (
    body_of_choice,
    check_answers,
    choices_each,
    model_name,
    wants_of,
)
from api.sampling_fields import check_context
from api.settings import ApiSettings
from api.unknown_fields import NONE, Unknown, unknown_fields
from dispatcher.needs import ANYBODY, Needs

LAST = '"stop":true'
"""The words that only the last event of an answer has."""


@dataclass(frozen=True, slots=True)
class Prompts:
    """What to go on with: the `fields` that tell each prompt.

    A prompt has about this number of `tokens`. `begin` are the prompts whose beginnings get names.
    A request without a `prompt_cache_key` has this `cache_key` of its tenant and end user.
    """

    fields: Sequence[Mapping[str, Any]] = field(repr=False)
    tokens: int
    begin: Sequence[Prompt] = ()
    needs: Needs = ANYBODY
    cache_key: str | None = None


@dataclass(frozen=True, slots=True)
class NativeRequest:
    """A checked request (`api.endpoint.Asked`) that gets `each` answers to each prompt.

    `model` is empty where it names none.
    """

    model: str
    prompts: Prompts
    each: int
    fields: Mapping[str, Any] = field(repr=False)
    unknown: Unknown = field(default=NONE, repr=False)

    @property
    def stream(self) -> bool:
        """See `api.endpoint.Asked`."""
        return bool(self.fields.get("stream"))

    @property
    def choices(self) -> int:
        """See `api.endpoint.Asked`."""
        return len(self.prompts.fields) * self.each

    @property
    def needs(self) -> Needs:
        """See `api.endpoint.Asked`."""
        return self.prompts.needs

    @property
    def return_tokens(self) -> bool:
        """Whether the answer has the numbers of its tokens."""
        return bool(self.fields.get("return_tokens"))

    @property
    def timings_per_token(self) -> bool:
        """Whether each event tells how fast it came."""
        return bool(self.fields.get("timings_per_token"))

    @property
    def response_fields(self) -> Sequence[str]:
        """The paths of the fields that the answer is to have, none for all of them."""
        paths: Sequence[str] = self.fields.get("response_fields", ())
        return paths

    def of_model(self, model: str, context: int) -> "NativeRequest":
        """See `api.endpoint.Asked`."""
        check_context(self.fields, context)
        return replace(self, model=model, fields={**self.fields, "model": model})

    def work(self, subject: str, mean_completion: float, user: str = "") -> Work:
        """See `api.endpoint.Asked`."""
        limit, prompts = output_limit(self.fields), self.prompts
        names = beginnings(prompts.begin, salt_of(subject, user)) if prompts.begin else []
        own = prompts.cache_key and f"{prompts.cache_key} {user}"
        key = self.fields.get("prompt_cache_key", own)
        return Work(
            model=self.model,
            bodies=[self.upstream_body(choice) for choice in range(self.choices)],
            choices=self.each,
            wants=wants_of(
                stream=self.stream,
                usage=False,
                progress=bool(self.fields.get("return_progress")),
                timings=self.timings_per_token,
            ),
            needs=prompts.needs,
            prompt_tokens=prompts.tokens,
            completion_tokens=completion_tokens(limit, mean_completion),
            prefixes=with_key(names, subject, key),
        )

    def upstream_body(self, choice: int = 0) -> bytes:
        """The JSON for llama-server that makes answer number `choice`, always streamed."""
        number, copy = divmod(choice, self.each)
        said = {**self.unknown.passed, **forwarded(self.fields), **self.prompts.fields[number]}
        return compact(body_of_choice(said, copy))


def request_of(fields: Mapping[str, Any], prompts: Prompts, settings: ApiSettings) -> NativeRequest:
    """The request that has these fields beside its prompts. Raises `ApiError` 400."""
    model = model_name(fields)
    checked = checked_fields(fields)
    each = choices_each(checked, settings.max_choices)
    check_answers(each * len(prompts.fields), settings.max_choices)
    known = KNOWN | prompts.fields[0].keys()
    unknown = unknown_fields(fields, known, settings)
    return NativeRequest(model, prompts, each, checked, unknown)
