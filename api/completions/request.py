"""A request for text completions: what the dispatcher must know of it, and its bodies. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from api.body import parse_object
from api.cache_names import salt_of, with_key
from api.completions.fields import KNOWN, checked_fields, forwarded
from api.endpoint import Work
from api.estimate import completion_tokens
from api.json_text import compact
from api.output_limit import output_limit
from api.prompts import Prompt, beginnings, checked_prompts, prompt_tokens
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


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """A checked request (`api.endpoint.Asked`): `each` answers to each of its prompts, which come
    one prompt after the other.
    """

    model: str
    stream: bool
    each: int
    prompts: Sequence[Prompt] = field(repr=False)
    fields: Mapping[str, Any] = field(repr=False)
    needs: Needs = ANYBODY
    unknown: Unknown = field(default=NONE, repr=False)

    @property
    def choices(self) -> int:
        """See `api.endpoint.Asked`."""
        return self.each * len(self.prompts)

    def of_model(self, model: str, context: int) -> "CompletionRequest":
        """See `api.endpoint.Asked`."""
        check_context(self.fields, context)
        if model == self.model:
            return self
        return replace(self, model=model, fields={**self.fields, "model": model})

    def work(self, subject: str, mean_completion: float, user: str = "") -> Work:
        """See `api.endpoint.Asked`."""
        names = beginnings(self.prompts, salt_of(subject, user))
        return Work(
            model=self.model,
            bodies=self.upstream_bodies(),
            choices=self.each,
            wants=wants_of(
                stream=self.stream,
                usage=True,  # a text completion has it in any case
                progress=self.fields.get("return_progress", False),
                timings=self.fields.get("timings_per_token", False),
            ),
            needs=self.needs,
            prompt_tokens=prompt_tokens(self.prompts),
            completion_tokens=completion_tokens(output_limit(self.fields), mean_completion),
            prefixes=with_key(names, subject, self.fields.get("prompt_cache_key")),
        )

    def upstream_bodies(self) -> list[bytes]:
        """The JSON for llama-server that makes each choice, always streamed."""
        fields = {**self.unknown.passed, **forwarded(self.fields)}
        bodies = [body_of_choice(fields, choice) for choice in range(self.each)]
        return [compact({**body, "prompt": prompt}) for prompt in self.prompts for body in bodies]


def parse_completion(body: bytes, settings: ApiSettings) -> CompletionRequest:
    """What `body` asks for, or an `ApiError` 400 that names the field and says what to do."""
    fields = parse_object(body, settings.max_json_depth)
    unknown = unknown_fields(fields, KNOWN, settings)
    model = model_name(fields)
    fields = checked_fields(fields)
    prompts = [prompt or "" for prompt in checked_prompts(fields.pop("prompt", None))]
    each = choices_each(fields, settings.max_choices)
    check_answers(each * len(prompts), settings.max_choices)
    stream = fields.get("stream", False)
    return CompletionRequest(model, stream, each, prompts, fields, unknown=unknown)
